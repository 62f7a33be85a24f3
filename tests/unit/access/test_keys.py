"""Server keys: what they seal, and who opens it."""

import pytest

from ecru.access.keys import InvalidServerKey, KeyRing, new_server_key, parse_key_ring

OLD, NEW = new_server_key(), new_server_key()


def test_what_is_sealed_opens_with_its_context_alone() -> None:
    keys = parse_key_ring(OLD)
    sealed = keys.seal(b"secret", "access key A")

    assert b"secret" not in sealed
    assert keys.open(sealed, "access key A") == b"secret"
    with pytest.raises(InvalidServerKey, match="access key B does not open"):
        keys.open(sealed, "access key B")


@pytest.mark.parametrize("position", [0, 16, 28, -1])
def test_what_was_changed_does_not_open(position: int) -> None:
    keys = parse_key_ring(OLD)
    sealed = bytearray(keys.seal(b"secret", "it"))
    sealed[position] ^= 1

    with pytest.raises(InvalidServerKey):
        keys.open(bytes(sealed), "it")


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    sealed = parse_key_ring(OLD).seal(b"secret", "it")
    both = parse_key_ring(f"# rotated\n{NEW}\n{OLD}\n")

    assert both.open(sealed, "it") == b"secret"
    assert not both.is_sealed_with_newest(sealed)
    assert both.is_sealed_with_newest(both.seal(b"secret", "it"))


def test_a_key_that_is_not_on_the_ring_is_named_by_its_fingerprint() -> None:
    sealed = parse_key_ring(OLD).seal(b"secret", "it")
    fingerprint = parse_key_ring(OLD).newest.fingerprint

    with pytest.raises(InvalidServerKey, match=fingerprint):
        parse_key_ring(NEW).open(sealed, "it")


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "short", "!" * 44, OLD + "\nshort"],
    ids=["empty", "comment", "short", "not base64", "one good, one short"],
)
def test_a_ring_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidServerKey):
        parse_key_ring(text)


def test_a_key_does_not_print() -> None:
    ring: KeyRing = parse_key_ring(OLD)

    assert OLD not in repr(ring)
    assert repr(ring.newest.secret) not in repr(ring)
