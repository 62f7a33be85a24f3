import time

import pytest

from ecru.oci.names import Tag
from ecru.rules.mutability import (
    ExclusionFilter,
    InvalidExclusionFilters,
    Mutability,
    check_filters,
    is_protected,
)

DEV = ExclusionFilter("dev-*")


@pytest.mark.parametrize(
    "mutability, tag, protected",
    [
        (Mutability.MUTABLE, "v1", False),
        (Mutability.IMMUTABLE, "v1", True),
        (Mutability.MUTABLE_WITH_EXCLUSION, "v1", False),
        (Mutability.MUTABLE_WITH_EXCLUSION, "dev-1", True),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, "v1", True),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, "dev-1", False),
    ],
)
def test_a_filter_turns_the_setting_round(mutability: Mutability, tag: str, protected: bool) -> None:
    filters = [ExclusionFilter("latest"), DEV] if mutability.endswith("_WITH_EXCLUSION") else []

    assert is_protected(mutability, filters, Tag(tag)) is protected


@pytest.mark.parametrize("mutability, protected", [(Mutability.MUTABLE, False), (Mutability.IMMUTABLE, True)])
def test_a_plain_setting_heeds_no_filters(mutability: Mutability, protected: bool) -> None:
    assert is_protected(mutability, [DEV], Tag("dev-1")) is protected


@pytest.mark.parametrize(
    "filter_, tag, matches",
    [
        ("latest", "latest", True),
        ("latest", "latest-2", False),
        ("latest", "my-latest", False),
        ("latest", "Latest", False),
        ("*", "anything", True),
        ("**", "anything", True),
        ("dev-*", "dev-", True),
        ("dev-*", "dev-1", True),
        ("dev-*", "my-dev-1", False),
        ("dev-*", "dev", False),
        ("*-rc", "v1-rc", True),
        ("*-rc", "v1-rc1", False),
        ("v*-rc", "v1-rc", True),
        ("v*-rc", "v-rc", True),
        ("v*-rc", "v-r", False),
        ("*dev*", "my-dev-1", True),
        ("*dev*", "my-de-v1", False),
        ("aba*aba", "aba", False),
        ("aba*aba", "ababa", False),
        ("aba*aba", "abaaba", True),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "a1c2b", False),
        ("a*b*c", "ac", False),
        ("v1.0", "v1x0", False),
        ("v1.*", "v1.2", True),
        ("v1.*", "v12", False),
    ],
)
def test_a_filter_fits_whole_tags(filter_: str, tag: str, matches: bool) -> None:
    assert ExclusionFilter(filter_).matches(Tag(tag)) is matches


def test_a_hostile_filter_takes_no_longer() -> None:
    """The same pattern as a regular expression would not end within the life of the server."""
    filter_, tag = ExclusionFilter("a*" * 63 + "b"), Tag("a" * 128)
    started = time.process_time()

    matches = filter_.matches(tag)

    assert not matches
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize(
    "mutability, filters",
    [
        (Mutability.MUTABLE, []),
        (Mutability.IMMUTABLE, []),
        (Mutability.MUTABLE_WITH_EXCLUSION, ["latest"]),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, ["a", "b*", "*c", "*d*", "e*e"]),
    ],
    ids=["mutable", "immutable", "one filter", "five filters"],
)
def test_filters_that_fit_their_setting_pass(mutability: Mutability, filters: list[str]) -> None:
    check_filters(mutability, [ExclusionFilter(filter_) for filter_ in filters])


@pytest.mark.parametrize(
    "mutability, filters, constraint",
    [
        (
            Mutability.MUTABLE,
            ["latest"],
            "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to MUTABLE",
        ),
        (
            Mutability.IMMUTABLE,
            ["latest"],
            "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to IMMUTABLE",
        ),
        (
            Mutability.MUTABLE_WITH_EXCLUSION,
            [],
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set to MUTABLE_WITH_EXCLUSION",
        ),
        (
            Mutability.IMMUTABLE_WITH_EXCLUSION,
            [],
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set to IMMUTABLE_WITH_EXCLUSION",
        ),
        (Mutability.MUTABLE_WITH_EXCLUSION, ["a"] * 6, "Member must have length less than or equal to 5"),
        (Mutability.MUTABLE_WITH_EXCLUSION, ["*a*b*"], "Filter '*a*b*' must have at most 2 wildcards"),
    ],
    ids=["mutable", "immutable", "mutable without", "immutable without", "six", "three wildcards"],
)
def test_filters_that_do_not_fit_are_refused(mutability: Mutability, filters: list[str], constraint: str) -> None:
    with pytest.raises(InvalidExclusionFilters) as fault:
        check_filters(mutability, [ExclusionFilter(filter_) for filter_ in filters])

    assert str(fault.value) == constraint
