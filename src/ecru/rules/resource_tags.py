"""The rules of resource tags.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html
"""

import unicodedata
from collections.abc import Sequence

TAGS_PER_RESOURCE = 50
_KEY_LIMIT = 128
_VALUE_LIMIT = 256
_PUNCTUATION = frozenset("+-=._:/@")


class InvalidResourceTags(ValueError):
    """A tag that breaks a rule; the text names it."""


class TooManyResourceTags(ValueError):
    """More tags than a resource may have."""

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"{count} tags are more than {limit}")
        self.count = count
        self.limit = limit


def check_resource_tags(tags: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Hold tags against the rules and answer them by key; how many the resource has already is not looked at.

    Raises:
        InvalidResourceTags: a key or value is too long, has a character that is not allowed, is reserved, or comes twice.
        TooManyResourceTags: these alone are too many.
    """
    checked: dict[str, str] = {}
    for key, value in tags:
        check_tag_key(key)
        if len(value) > _VALUE_LIMIT:
            raise InvalidResourceTags(f"The value of the tag '{key}' has more than {_VALUE_LIMIT} characters.")
        if not all(map(_is_allowed, value)):
            raise InvalidResourceTags(f"The value of the tag '{key}' has a character that is not allowed.")
        if key in checked:
            raise InvalidResourceTags(f"The tag key '{key}' is given twice.")
        checked[key] = value
    check_count(len(checked))
    return checked


def check_count(count: int) -> None:
    """Hold the number of a resource's tags against the limit.

    Raises:
        TooManyResourceTags: there are too many.
    """
    if count > TAGS_PER_RESOURCE:
        raise TooManyResourceTags(count, TAGS_PER_RESOURCE)


def check_tag_key(key: str) -> None:
    """Hold the key of a tag against the rules.

    Raises:
        InvalidResourceTags: it breaks one.
    """
    if not 1 <= len(key) <= _KEY_LIMIT:
        raise InvalidResourceTags(f"A tag key has 1 to {_KEY_LIMIT} characters, not {len(key)}.")
    if not all(map(_is_allowed, key)):
        raise InvalidResourceTags(f"The tag key '{key}' has a character that is not allowed.")
    if key.lower().startswith("aws:"):
        raise InvalidResourceTags(f"The tag key '{key}' begins with 'aws:', which is reserved.")


def _is_allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LNZ"
