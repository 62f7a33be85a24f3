import hashlib

import pytest

from ecru.oci.digest import (
    InvalidDigest,
    UnsupportedDigestAlgorithm,
    algorithm_of,
    digest_of,
    finish,
    new_hasher,
    parse_any_digest,
    parse_digest,
)

SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8

EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("text", [SHA256, SHA512], ids=["sha256", "sha512"])
def test_a_digest_of_a_stored_algorithm_is_taken_as_it_is(text: str) -> None:
    assert parse_digest(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("latest", id="tag"),
        pytest.param("sha256:", id="nothing encoded"),
        pytest.param(":" + "0" * 64, id="no algorithm"),
        pytest.param("sha256:baddigeststring", id="not hexadecimal"),
        pytest.param("sha256:abc", id="too short"),
        pytest.param(SHA256[:-1], id="a digit short"),
        pytest.param(SHA256 + "0", id="a digit long"),
        pytest.param(SHA256.replace("a", "A"), id="uppercase digits"),
        pytest.param(SHA256.replace("sha", "SHA"), id="uppercase algorithm"),
        pytest.param(SHA256 + "\n", id="newline after it"),
        pytest.param(" " + SHA256, id="blank before it"),
        pytest.param(SHA256.replace("0", "٠"), id="digits of another script"),
        pytest.param(SHA512[:-64], id="sha512 as short as sha256"),
        pytest.param("sha256::" + "0" * 64, id="two colons"),
        pytest.param("sha256:" + "0" * 32 + "/../" + "0" * 28, id="path"),
    ],
)
def test_what_is_not_of_the_form_is_no_digest(text: str) -> None:
    with pytest.raises(InvalidDigest) as fault:
        parse_any_digest(text)
    with pytest.raises(InvalidDigest):
        parse_digest(text)

    assert not isinstance(fault.value, UnsupportedDigestAlgorithm)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("blake3:" + "0" * 64, id="blake3"),
        pytest.param("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", id="example of the image spec"),
        pytest.param("sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", id="example of the image spec, base64"),
    ],
)
def test_another_algorithm_may_be_referred_to_but_not_stored(text: str) -> None:
    assert parse_any_digest(text) == text

    with pytest.raises(UnsupportedDigestAlgorithm, match="sha256, sha512"):
        parse_digest(text)


def test_a_digest_longer_than_a_key_in_the_database_is_refused() -> None:
    with pytest.raises(InvalidDigest, match="longer than 256"):
        parse_any_digest("unknown:" + "0" * 249)


@pytest.mark.parametrize("text, algorithm", [(SHA256, "sha256"), (SHA512, "sha512")], ids=["sha256", "sha512"])
def test_a_digest_tells_its_algorithm(text: str, algorithm: str) -> None:
    assert algorithm_of(parse_digest(text)) == algorithm


def test_content_is_hashed_with_sha256_unless_told_otherwise() -> None:
    assert digest_of(b"") == EMPTY_SHA256
    assert digest_of(b"hello", "sha512") == "sha512:" + hashlib.sha512(b"hello").hexdigest()


def test_content_in_pieces_has_the_digest_of_the_whole() -> None:
    hasher = new_hasher("sha512")
    hasher.update(b"hel")
    hasher.update(memoryview(b"lo"))

    assert finish(hasher) == digest_of(b"hello", "sha512")
