"""Whom a request comes from when a proxy brought it: the ``X-Forwarded-…`` headers, which count only from proxies we trust.

Each proxy appends to ``X-Forwarded-For`` the address it was called from, so the list is read from its end, as long as what is found
there is a trusted proxy too: the first address that is none is the client's, and what lies before it is the client's own claim. Of
``X-Forwarded-Proto`` and ``X-Forwarded-Host`` the last value counts, which is that of the proxy nearest to us.

https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]
Headers = Iterable[tuple[bytes, bytes]]

_FORWARDING = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"})
_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What trusted proxies say of a request; None is what they do not say."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None


def read_forwarded(headers: Headers, peer: str, trusted: Networks) -> Forwarded:
    """Read what a request's headers say of where it came from; nothing when the peer is no trusted proxy."""
    if not _is_trusted(parse_address(peer), trusted):
        return Forwarded()
    values: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in _FORWARDING:
            values.setdefault(name, []).extend(part.strip() for part in value.decode("latin-1").split(","))
    scheme = _last(values.get(b"x-forwarded-proto"), "").lower()
    return Forwarded(
        client=_client(values.get(b"x-forwarded-for", []), trusted),
        scheme=scheme if scheme in _SCHEMES else None,
        host=_last(values.get(b"x-forwarded-host"), "") or None,
    )


def is_local(headers: Headers, peer: str) -> bool:
    """Whether a request was made on this machine, and not by a proxy here for somebody else."""
    address = parse_address(peer)
    return address is not None and address.is_loopback and not any(name in _FORWARDING for name, _ in headers)


def parse_address(text: str) -> Address | None:
    """Read an address, with or without a port; one of IPv4 that is written as IPv6 is of IPv4. None when it is no address."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _client(claimed: Sequence[str], trusted: Networks) -> str | None:
    found = None
    for text in reversed(claimed):
        address = parse_address(text)
        if address is None:
            # Whoever wrote this is no proxy that can be relied on; what it got is nearer to the truth than what it says.
            return found
        found = str(address)
        if not _is_trusted(address, trusted):
            break
    return found


def _is_trusted(address: Address | None, trusted: Networks) -> bool:
    return address is not None and any(address in network for network in trusted)


def _last(values: Sequence[str] | None, default: str) -> str:
    return values[-1] if values else default
