"""Where things lie inside one store; nobody else builds a location or takes one apart.

    4e/                                     the last two digits of the upload's id
    ├── <upload id>.0.9c3e51aa              the first body received: the blob itself, if no other came
    ├── <upload id>.1.07be2f44              the second
    ├── <upload id>.1.e2a90b1c              … sent again after a failure: same index, other nonce
    ├── <upload id>.joined.5d10c3b2         the bodies put together, if there were several
    └── <upload id>.2.1bc0ffee.half.70e1…   folder store only: being written, or left by a crash
    probes/
    └── 3f9c21d0…                           what a readiness check writes and deletes

All that an upload ever wrote begins with its ``prefix``, so that it is found without any row. The folders are cut by the end
of the id, which is random even in those versions of UUID that begin with the time. They are 256: few enough to be made
durable once each, enough for listing one to be quick. A blob has no folder of its own, which would cost a small blob twice
its space and one more name to make durable.
"""

import re
from uuid import UUID

from ecru.blobs.store import Location

EVERYTHING = Location("")
"""The prefix of whatever lies in a store."""

_NONCE = re.compile(r"[0-9a-f]{8,32}")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}")
_OF_UPLOAD = re.compile(r"[0-9a-f]{2}/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\..+")


class InvalidLocation(ValueError):
    """The text is no location."""

    def __init__(self, text: str) -> None:
        super().__init__(f'"{text}" is no location in a blob store')


def prefix(upload_id: UUID | str) -> Location:
    """Answer what every location of the upload begins with, and of no other."""
    upload = str(UUID(str(upload_id)))
    return Location(f"{upload[-2:]}/{upload}.")


def segment(upload_id: UUID | str, index: int, nonce: str) -> Location:
    """Answer where a body received goes; ``index`` counts from 0, ``nonce`` (hexadecimal) differs at each attempt."""
    if index < 0:
        raise ValueError(f"a segment's index counts from 0 and is not {index}")
    return Location(f"{prefix(upload_id)}{index}.{_checked(nonce)}")


def joined(upload_id: UUID | str, nonce: str) -> Location:
    """Answer where the segments of an upload go when they are put together."""
    return Location(f"{prefix(upload_id)}joined.{_checked(nonce)}")


def unfinished(location: Location, nonce: str) -> Location:
    """Answer the name that what is to lie at the location has while it is written: beside it, and found with it."""
    return Location(f"{location}.half.{_checked(nonce)}")


def probe(nonce: str) -> Location:
    """Answer where a readiness check writes."""
    return Location(f"probes/{_checked(nonce)}")


def upload_of(location: Location) -> UUID | None:
    """Answer the upload that wrote what lies there; None for anything else."""
    match = _OF_UPLOAD.fullmatch(location)
    return UUID(match[1]) if match else None


def is_location(text: str) -> bool:
    """Say whether the text is relative, leads nowhere but down and means the same to every store."""
    return all(_NAME.fullmatch(name) for name in text.split("/"))


def parse_location(text: str) -> Location:
    """Check that the text is a location.

    Raises:
        InvalidLocation: it is not.

    """
    if not is_location(text):
        raise InvalidLocation(text)
    return Location(text)


def split_prefix(prefix: Location) -> tuple[str, str]:
    """Answer the folder to look in, "" for the store's root, and how the names looked for begin.

    Raises:
        InvalidLocation: the prefix leads elsewhere.

    """
    folder, slash, beginning = prefix.rpartition("/")
    if slash:
        parse_location(folder)
    if beginning:
        parse_location(beginning)
    return folder, beginning


def _checked(nonce: str) -> str:
    if not _NONCE.fullmatch(nonce):
        raise ValueError(f'a nonce is 8 to 32 hexadecimal digits and not "{nonce}"')
    return nonce
