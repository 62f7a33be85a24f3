import re

from hypothesis import given
from hypothesis import strategies as st

from ecru.oci.names import Tag
from ecru.rules.mutability import ExclusionFilter, Mutability, is_protected

# Few letters, so that filters and tags meet; few wildcards, as what the law compares with takes exponential time.
tags = st.text("ab.-", min_size=1, max_size=10).map(Tag)
exclusions = st.lists(st.text("ab.-", max_size=3), min_size=1, max_size=5).map("*".join).map(ExclusionFilter)


@given(exclusions, tags)
def test_a_filter_matches_what_its_regular_expression_does(exclusion: ExclusionFilter, tag: Tag) -> None:
    expression = ".*".join(re.escape(piece) for piece in exclusion.filter.split("*"))

    assert exclusion.matches(tag) is (re.fullmatch(expression, tag) is not None)


@given(exclusions, st.data())
def test_a_filter_matches_each_tag_made_from_it(exclusion: ExclusionFilter, data: st.DataObject) -> None:
    first, *others = exclusion.filter.split("*")

    tag = first + "".join(data.draw(st.text("ab.-", max_size=5)) + piece for piece in others)

    assert exclusion.matches(Tag(tag))


@given(st.lists(exclusions, max_size=5), tags)
def test_the_two_settings_with_exclusion_are_opposites(filters: list[ExclusionFilter], tag: Tag) -> None:
    protected = is_protected(Mutability.IMMUTABLE_WITH_EXCLUSION, filters, tag)

    assert is_protected(Mutability.MUTABLE_WITH_EXCLUSION, filters, tag) is not protected


@given(st.lists(exclusions, max_size=5), exclusions, tags)
def test_one_more_filter_only_excludes_more(filters: list[ExclusionFilter], another: ExclusionFilter, tag: Tag) -> None:
    before = is_protected(Mutability.IMMUTABLE_WITH_EXCLUSION, filters, tag)
    after = is_protected(Mutability.IMMUTABLE_WITH_EXCLUSION, [*filters, another], tag)

    assert after <= before


@given(st.sampled_from(Mutability), st.permutations([ExclusionFilter(each) for each in ("a*", "*b", "a.b", "-")]), tags)
def test_the_order_of_filters_means_nothing(mutability: Mutability, filters: list[ExclusionFilter], tag: Tag) -> None:
    assert is_protected(mutability, filters, tag) is is_protected(mutability, sorted(filters, key=str), tag)
