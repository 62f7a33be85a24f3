"""Whom a request comes from when a proxy brought it."""

from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from ecru.rules.forwarded import Forwarded, is_local, parse_address, read_forwarded

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXY = "10.0.0.1"
CLIENT = "198.51.100.7"


def headers(**values: str | Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Headers by name, with ``_`` for ``-``; several lines of one name as a list."""
    lines = [(name, value) for name, given in values.items() for value in ([given] if isinstance(given, str) else given)]
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in lines]


def forwarded_for(value: str | Sequence[str], peer: str = PROXY) -> str | None:
    return read_forwarded(headers(x_forwarded_for=value), peer, TRUSTED).client


def test_nobody_else_is_believed() -> None:
    said = headers(x_forwarded_for=CLIENT, x_forwarded_proto="https", x_forwarded_host="registry.example.com")

    assert read_forwarded(said, CLIENT, TRUSTED) == Forwarded()
    assert read_forwarded(said, PROXY, []) == Forwarded()


def test_a_trusted_proxy_is_believed() -> None:
    said = headers(x_forwarded_for=CLIENT, x_forwarded_proto="https", x_forwarded_host="registry.example.com:8443")

    assert read_forwarded(said, PROXY, TRUSTED) == Forwarded(CLIENT, "https", "registry.example.com:8443")


def test_what_a_proxy_does_not_say_is_left_open() -> None:
    assert read_forwarded(headers(host="registry.example.com"), PROXY, TRUSTED) == Forwarded()


@pytest.mark.parametrize(
    "value, client",
    [
        (CLIENT, CLIENT),
        (f"203.0.113.9, {CLIENT}", CLIENT),
        (f"{CLIENT}, 10.0.0.2", CLIENT),
        (f"203.0.113.9, {CLIENT}, 10.0.0.3, 10.0.0.2", CLIENT),
        (["203.0.113.9", f"{CLIENT}, 10.0.0.2"], CLIENT),
        ("10.0.0.9", "10.0.0.9"),
        ("10.0.0.9, 10.0.0.2", "10.0.0.9"),
        (f"{CLIENT}:49152", CLIENT),
        ("[2001:db8::7]:49152", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("unknown", None),
        ("_hidden, 10.0.0.2", "10.0.0.2"),
        ("", None),
        (",,", None),
    ],
)
def test_the_client_is_the_first_from_the_end_that_is_no_trusted_proxy(value: str | Sequence[str], client: str | None) -> None:
    assert forwarded_for(value) == client


@pytest.mark.parametrize("peer", ["10.255.255.255", "fd00::1", "::ffff:10.0.0.1"])
def test_a_proxy_may_have_either_kind_of_address(peer: str) -> None:
    assert forwarded_for(CLIENT, peer) == CLIENT


@pytest.mark.parametrize(
    "value, scheme",
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), (["https", "http"], "http"), ("gopher", None), ("", None)],
)
def test_the_scheme_is_that_of_the_nearest_proxy(value: str | Sequence[str], scheme: str | None) -> None:
    assert read_forwarded(headers(x_forwarded_proto=value), PROXY, TRUSTED).scheme == scheme


def test_the_host_is_that_of_the_nearest_proxy() -> None:
    said = headers(x_forwarded_host="evil.example.com, registry.example.com")

    assert read_forwarded(said, PROXY, TRUSTED).host == "registry.example.com"


@pytest.mark.parametrize(
    "peer, said, local",
    [
        ("127.0.0.1", {}, True),
        ("127.5.5.5", {"host": "localhost"}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        (CLIENT, {}, False),
        ("", {}, False),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x_real_ip": CLIENT}, False),
        ("127.0.0.1", {"forwarded": f"for={CLIENT}"}, False),
        ("127.0.0.1", {"via": "1.1 proxy"}, False),
    ],
)
def test_a_request_is_local_when_no_proxy_brought_it_from_elsewhere(peer: str, said: dict[str, str], *, local: bool) -> None:
    assert is_local(headers(**said), peer) is local


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0", "10.0.0.1/8", "[", "1:2", "٣.0.0.1", "a" * 1000])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None
