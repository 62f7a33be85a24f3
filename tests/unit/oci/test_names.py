import pytest

from ecru.oci.digest import InvalidDigest, UnsupportedDigestAlgorithm, digest_of
from ecru.oci.names import (
    InvalidRepositoryName,
    InvalidTag,
    parse_reference,
    parse_repository_name,
    parse_tag,
)

DIGEST = digest_of(b"")


@pytest.mark.parametrize(
    "text",
    [
        "ab",
        "7z",
        "nginx",
        "team/app",
        "a.b_c__d-e",
        "a--b",
        "a------b",
        "a__b",
        "blobs/uploads/manifests",
        "a/b/c/d/e/f",
        "0/1",
        pytest.param("a" * 256, id="256 characters"),
        pytest.param("/".join("a" * 128), id="128 components"),
    ],
)
def test_names_of_ecrs_expression_are_taken(text: str) -> None:
    assert parse_repository_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a", id="one character"),
        pytest.param("a" * 257, id="257 characters"),
        pytest.param("Nginx", id="uppercase"),
        pytest.param("/nginx", id="slash first"),
        pytest.param("nginx/", id="slash last"),
        pytest.param("team//app", id="empty component"),
        pytest.param("../app", id="parent folder"),
        pytest.param("team/./app", id="same folder"),
        pytest.param("a..b", id="two dots"),
        pytest.param("a___b", id="three underscores"),
        pytest.param("a._b", id="separators mixed"),
        pytest.param("-ab", id="separator first"),
        pytest.param("ab_", id="separator last"),
        pytest.param("team/-app", id="separator first in a component"),
        pytest.param("nginx\n", id="newline after it"),
        pytest.param("ngi nx", id="blank"),
        pytest.param("nginx:latest", id="tag after it"),
        pytest.param("ngi%2Fnx", id="percent-encoded"),
        pytest.param("ngi\0nx", id="NUL"),
        pytest.param("ñginx", id="letter outside of ASCII"),
        pytest.param("nginx٣", id="digit of another script"),
    ],
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidRepositoryName):
        parse_repository_name(text)


def test_the_error_quotes_the_expression_as_ecr_does() -> None:
    expression = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"

    with pytest.raises(InvalidRepositoryName) as fault:
        parse_repository_name("Nginx")

    assert str(fault.value) == f"repository name 'Nginx' does not satisfy the regular expression '{expression}'"


@pytest.mark.parametrize(
    "text",
    [
        "latest",
        "v1.2.3",
        "_",
        "0",
        "A-b_c.d",
        "sha256-" + "0" * 64 + ".sig",
        pytest.param("t" * 128, id="128 characters"),
    ],
)
def test_tags_of_the_grammar_are_taken(text: str) -> None:
    assert parse_tag(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("t" * 129, id="129 characters"),
        pytest.param(".hidden", id="dot first"),
        pytest.param("-flag", id="hyphen first"),
        pytest.param("a/b", id="slash"),
        pytest.param("a b", id="blank"),
        pytest.param("latest\n", id="newline after it"),
        pytest.param("a:b", id="colon"),
        pytest.param("v1+build", id="plus"),
        pytest.param("größe", id="letters outside of ASCII"),
    ],
)
def test_other_tags_are_refused(text: str) -> None:
    with pytest.raises(InvalidTag):
        parse_tag(text)


def test_a_reference_is_a_tag_or_a_digest() -> None:
    assert parse_reference("latest") == (None, "latest")
    assert parse_reference(DIGEST) == (DIGEST, None)


@pytest.mark.parametrize("text", ["sha256:baddigeststring", "sha256:", "latest:", ":", "sha256:abc"])
def test_a_reference_with_a_colon_is_never_a_tag(text: str) -> None:
    """The conformance suite puts ``sha256:baddigeststring`` and wants 400, not the 404 of a tag."""
    with pytest.raises(InvalidDigest):
        parse_reference(text)


def test_a_reference_of_an_algorithm_we_do_not_store_says_so() -> None:
    with pytest.raises(UnsupportedDigestAlgorithm):
        parse_reference("blake3:" + "0" * 64)
