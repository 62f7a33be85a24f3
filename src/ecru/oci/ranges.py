"""Byte ranges: ``Range`` of a download and ``Content-Range`` of an upload's chunk.

https://www.rfc-editor.org/rfc/rfc9110#section-14
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
"""

import re
from dataclasses import dataclass
from typing import Final

# Eighteen digits: more than any blob has, and below 2^63.
_RANGE: Final = re.compile(r"([0-9]{0,18})-([0-9]{0,18})", re.ASCII)
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:\*|([0-9]{1,18})))?", re.ASCII)


class UnsatisfiableRange(ValueError):
    """No byte of the content is in the range; answered with 416."""


class InvalidContentRange(ValueError):
    """The text says no range of bytes that a chunk could have."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A run of bytes from ``first`` to ``last``, both of them in it."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes that is; never zero."""
        return self.last - self.first + 1


def parse_byte_range(header: str | None, size: int) -> ByteRange | None:
    """The bytes of content of ``size`` bytes that a ``Range`` header asks for; None for all of them.

    RFC 9110 lets a server ignore what it does not serve. All of the content is the answer to several ranges, to other
    units than bytes, to what is no range, and, as there are clients that send a ``Range`` with everything, to any range
    of empty content. An end before the start is refused, as section 14.2 allows and the conformance suite of the
    distribution spec wants.

    Raises:
        UnsatisfiableRange: starts after the end of the content, ends before its start, or is the last zero bytes.
    """
    unit, _, text = (header or "").partition("=")
    match = _RANGE.fullmatch(text.strip())
    if unit.strip().lower() != "bytes" or match is None or match[0] == "-" or size == 0:
        return None
    if not match[1]:
        wanted = range(max(0, size - int(match[2])), size)
    else:
        wanted = range(int(match[1]), min(int(match[2]) + 1 if match[2] else size, size))
    if not wanted:
        raise UnsatisfiableRange(f"range {header!r} has no byte of the {size} there are")
    return ByteRange(wanted[0], wanted[-1])


def parse_content_range(text: str) -> tuple[int, int]:
    """The first and the last byte of a chunk, from ``a-b`` as OCI has it or ``bytes a-b/total`` as HTTP has it.

    Raises:
        InvalidContentRange: neither of them, or an end before the start or not below the total.
    """
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        raise InvalidContentRange(f"content range {text!r} is not a first and a last byte, as '0-1023'")
    first, last, total = int(match[1]), int(match[2]), match[3]
    if last < first:
        raise InvalidContentRange(f"content range {text!r} ends before it starts")
    if total is not None and last >= int(total):
        raise InvalidContentRange(f"content range {text!r} ends after its total")
    return first, last
