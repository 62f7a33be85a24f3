"""Digests, the names of content: ``sha256:`` and 64 hexadecimal digits.

https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
"""

import hashlib
import re
from typing import Final, Literal, NewType, Protocol, Self

Digest = NewType("Digest", str)
Algorithm = Literal["sha256", "sha512"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("sha256", "sha512")
LONGEST_DIGEST: Final = 256
"""Characters. The grammar has no bound, but a digest is a key in the database; the longest registered one has 135."""

# The separators are no alphanumerics, so that there is one way to match a text and the time is linear in its length.
_GRAMMAR: Final = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_ENCODED: Final = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}


class InvalidDigest(ValueError):
    """The text is no digest."""


class UnsupportedDigestAlgorithm(InvalidDigest):
    """The text is a digest, but of an algorithm that content cannot be stored under."""


class Hasher(Protocol):
    """What ``hashlib`` answers for an algorithm."""

    @property
    def name(self) -> str:
        """The algorithm."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next piece of the content."""

    def hexdigest(self) -> str:
        """The hash of the pieces so far."""

    def copy(self) -> Self:
        """Another one that has seen the same pieces."""


def parse_digest(text: str) -> Digest:
    """Take a text for the digest of content that is stored here: sha256 or sha512, in lowercase.

    Raises:
        UnsupportedDigestAlgorithm: well formed, of another algorithm.
        InvalidDigest: anything else.
    """
    digest = parse_any_digest(text)
    if digest.partition(":")[0] not in ALGORITHMS:
        raise UnsupportedDigestAlgorithm(f"digest {text!r} is not of an algorithm we store: {', '.join(ALGORITHMS)}")
    return digest


def parse_any_digest(text: str) -> Digest:
    """Take a text for a digest of any algorithm: the name of content that is only referred to, never looked for here.

    One of sha256 or sha512 must have that algorithm's form; of the others the image spec says that "implementations
    SHOULD allow digests with unrecognized algorithms to pass validation if they comply with the above grammar".

    Raises:
        InvalidDigest: not in the grammar, or longer than ``LONGEST_DIGEST``.
    """
    if len(text) > LONGEST_DIGEST:
        raise InvalidDigest(f"digest of {len(text)} characters is longer than {LONGEST_DIGEST}")
    if _GRAMMAR.fullmatch(text) is None:
        raise InvalidDigest(f"{text!r} is not a digest, which is an algorithm, ':' and an encoded hash")
    algorithm, _, encoded = text.partition(":")
    form = _ENCODED.get(algorithm)
    if form is not None and form.fullmatch(encoded) is None:
        raise InvalidDigest(f"{text!r} is not a digest: after '{algorithm}:' comes {form.pattern}")
    return Digest(text)


def algorithm_of(digest: Digest) -> Algorithm:
    """The algorithm of a digest that ``parse_digest`` made."""
    return "sha256" if digest.startswith("sha256:") else "sha512"


def digest_of(content: bytes, algorithm: Algorithm = "sha256") -> Digest:
    """The digest of content that is in memory."""
    hasher = new_hasher(algorithm)
    hasher.update(content)
    return finish(hasher)


def new_hasher(algorithm: Algorithm = "sha256") -> Hasher:
    """Start to hash content that arrives in pieces; ``finish`` ends it."""
    return hashlib.new(algorithm)


def finish(hasher: Hasher) -> Digest:
    """The digest of what the hasher has seen so far; it may see more afterwards."""
    return Digest(f"{hasher.name}:{hasher.hexdigest()}")
