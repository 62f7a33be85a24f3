"""Whether a tag may be moved to another image.

    setting                    tag matches a filter    tag matches none
    MUTABLE                                            may be moved
    IMMUTABLE                                          protected
    MUTABLE_WITH_EXCLUSION     protected               may be moved
    IMMUTABLE_WITH_EXCLUSION   may be moved            protected

A protected tag may still be created, deleted, and created again.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecru.oci.names import Tag

MOST_FILTERS: Final = 5
MOST_WILDCARDS: Final = 2
"""In one filter; stated by Terraform's provider for ECR, not by ECR's model."""


class InvalidExclusionFilters(ValueError):
    """The filters do not fit the setting or break a rule of their own; the text is the constraint that failed."""


class Mutability(StrEnum):
    """ECR's ``imageTagMutability``."""

    MUTABLE = "MUTABLE"
    IMMUTABLE = "IMMUTABLE"
    MUTABLE_WITH_EXCLUSION = "MUTABLE_WITH_EXCLUSION"
    IMMUTABLE_WITH_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"


_WITH_EXCLUSION: Final = frozenset({Mutability.MUTABLE_WITH_EXCLUSION, Mutability.IMMUTABLE_WITH_EXCLUSION})
_PROTECTING: Final = frozenset({Mutability.IMMUTABLE, Mutability.IMMUTABLE_WITH_EXCLUSION})


@dataclass(frozen=True, slots=True)
class ExclusionFilter:
    """The tags to which the opposite of the setting applies: ``*`` is any run of characters, all others are themselves."""

    filter: str

    def matches(self, tag: Tag) -> bool:
        """Whether the filter fits the whole tag; takes time proportional to the lengths, whatever the filter."""
        first, *others = self.filter.split("*")
        if not others:
            return tag == first
        *inner, last = others
        if len(tag) < len(first) + len(last) or not tag.startswith(first) or not tag.endswith(last):
            return False
        # The leftmost place for each piece leaves most room for those after it, so that nothing is tried twice.
        position, end = len(first), len(tag) - len(last)
        for piece in inner:
            found = tag.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True


def is_protected(mutability: Mutability, filters: Sequence[ExclusionFilter], tag: Tag) -> bool:
    """Whether a tag that exists must stay on its image."""
    protected = mutability in _PROTECTING
    if mutability in _WITH_EXCLUSION and any(exclusion.matches(tag) for exclusion in filters):
        return not protected
    return protected


def check_filters(mutability: Mutability, filters: Sequence[ExclusionFilter]) -> None:
    """Hold filters against the setting they come with and against their own rules, but for the characters, which the model checks.

    Raises:
        InvalidExclusionFilters: with ECR's text where it is known.
    """
    if filters and mutability not in _WITH_EXCLUSION:
        raise InvalidExclusionFilters(
            f"ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to {mutability}"
        )
    if not filters and mutability in _WITH_EXCLUSION:
        raise InvalidExclusionFilters(
            f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set to {mutability}"
        )
    if len(filters) > MOST_FILTERS:
        raise InvalidExclusionFilters(f"Member must have length less than or equal to {MOST_FILTERS}")
    for exclusion in filters:
        if exclusion.filter.count("*") > MOST_WILDCARDS:
            raise InvalidExclusionFilters(f"Filter '{exclusion.filter}' must have at most {MOST_WILDCARDS} wildcards")
