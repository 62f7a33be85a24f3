"""Positions in lists, as opaque tokens.

A token holds where the next page begins and a mark of the question it belongs to, so that it is refused with another
filter. It grants nothing: what may be listed is asked again with each page. It stays good while rows come and go.
"""

import base64
import binascii
import hashlib
import json

from ecru.errors import InvalidParameter

_TOKEN_LIMIT = 2_048


def render_token(position: list[object], question: object) -> str:
    """Make the token of a position in the answer to a question."""
    return base64.urlsafe_b64encode(json.dumps([_mark(question), *position]).encode()).decode()


def parse_token(text: str | None, question: object, kinds: tuple[type, ...]) -> list[object] | None:
    """Read where a page begins; None for the first one.

    Args:
        text: the ``nextToken`` of the request.
        question: what is listed, as it was when the token was made.
        kinds: the types of the position's parts.

    Raises:
        InvalidParameter: it is no token of this list.
    """
    if text is None:
        return None
    position: list[object]
    try:
        mark, *position = json.loads(base64.urlsafe_b64decode(text[:_TOKEN_LIMIT].encode()))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        mark, position = "", []
    if mark != _mark(question) or tuple(type(each) for each in position) != kinds or not all(map(_is_storable, position)):
        raise InvalidParameter("nextToken", "must be the nextToken of the page before, with the same filter")
    return position


def _is_storable(part: object) -> bool:
    """Tell whether a column can be compared with it: a forged token may hold what no row has."""
    if isinstance(part, int):
        return 0 <= part < 2**63
    return isinstance(part, str) and "\0" not in part and part.isascii()


def _mark(question: object) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=str).encode()).hexdigest()[:16]
