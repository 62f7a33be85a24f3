"""Names of repositories and tags, and references, which are a tag or a digest.

The patterns below have one way to match a text, since separators are no alphanumerics: matching takes time linear in
the length, which is checked first.
"""

import re
from typing import Final, NewType

from ecru.oci.digest import Digest, parse_digest

RepositoryName = NewType("RepositoryName", str)
Tag = NewType("Tag", str)

SHORTEST_REPOSITORY_NAME: Final = 2
LONGEST_REPOSITORY_NAME: Final = 256
LONGEST_TAG: Final = 128

_COMPONENT: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY_NAME_EXPRESSION: Final = rf"{_COMPONENT}(/{_COMPONENT})*"
"""As ECR quotes it in errors. Its guide asks for a letter at the start; the service does not, nor do we."""

_REPOSITORY_NAME: Final = re.compile(REPOSITORY_NAME_EXPRESSION, re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)


class InvalidRepositoryName(ValueError):
    """The text is no name of a repository."""


class InvalidTag(ValueError):
    """The text is no tag."""


def parse_repository_name(text: str) -> RepositoryName:
    """Take a text for a repository's name: components of lowercase letters and digits, joined by ``/``.

    The expression is that of the distribution spec and of ECR, the bounds of 2 to 256 characters are ECR's.
    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html

    Raises:
        InvalidRepositoryName: too short, too long, or against the expression.
    """
    if not SHORTEST_REPOSITORY_NAME <= len(text) <= LONGEST_REPOSITORY_NAME:
        bounds = f"{SHORTEST_REPOSITORY_NAME} to {LONGEST_REPOSITORY_NAME}"
        raise InvalidRepositoryName(f"repository name of {len(text)} characters does not have {bounds}")
    if _REPOSITORY_NAME.fullmatch(text) is None:
        expression = REPOSITORY_NAME_EXPRESSION
        raise InvalidRepositoryName(f"repository name {text!r} does not satisfy the regular expression '{expression}'")
    return RepositoryName(text)


def parse_tag(text: str) -> Tag:
    """Take a text for a tag: at most 128 letters, digits, ``_``, ``.`` and ``-``, the last two not at the start.

    ECR's model allows 300 characters; OCI clients, and so we, stop at 128.
    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests

    Raises:
        InvalidTag: empty, too long, or with another character.
    """
    if len(text) > LONGEST_TAG:
        raise InvalidTag(f"tag of {len(text)} characters is longer than {LONGEST_TAG}")
    if _TAG.fullmatch(text) is None:
        raise InvalidTag(f"tag {text!r} is not of letters, digits, '_', '.' and '-' with none of the last two at the start")
    return Tag(text)


def parse_reference(text: str) -> tuple[Digest, None] | tuple[None, Tag]:
    """Take a text for a digest if it holds a ``:``, else for a tag; a malformed digest is never a tag.

    Raises:
        InvalidDigest: holds a ``:`` and is no digest that content can be stored under.
        InvalidTag: holds none and is no tag.
    """
    return (parse_digest(text), None) if ":" in text else (None, parse_tag(text))
