"""What a blob store does, and how it fails.

    BlobStoreError
    ├── BlobMissing             nothing at the location, or fewer bytes than were recorded
    └── StoreUnavailable        the store does not do what it is for; the message names it and the remedy
        └── StoreFull           … because no space or quota is left

How bytes become a blob: every body received is written to a location of its own, a *segment*. ``write`` returns when the
segment survives a power cut; only then a row may point to it. An upload of one body ends as a row that points to its segment:
nothing is copied or renamed. The segments of a longer one are first put together by ``join``.

INVARIANT: what lies at a location is never changed, only deleted. A row may therefore be read, and a join tried again, by
anybody at any time.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NewType, Protocol

from typing_extensions import override

Location = NewType("Location", str)
"""A key inside one store, relative; made by ``layout`` alone."""

READ_BYTES = 256 * 1024
"""How much ``read`` gives at a time, about."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies at a location."""

    location: Location
    size_bytes: int


class BlobStoreError(Exception):
    """A blob store could not do what it was asked."""


@dataclass(eq=False)
class BlobMissing(BlobStoreError):
    """Nothing lies at the location, or less than was recorded."""

    location: Location
    recorded_bytes: int | None = None

    @override
    def __str__(self) -> str:
        if self.recorded_bytes is None:
            return f'nothing lies at "{self.location}"'
        return f'fewer than the recorded {self.recorded_bytes} bytes lie at "{self.location}"'


@dataclass(eq=False)
class StoreUnavailable(BlobStoreError):
    """The store cannot be used: which one, what it said, and what the operator can do."""

    store: str
    reason: str
    remedy: str

    @override
    def __str__(self) -> str:
        return f"{self.store}: {self.reason}; {self.remedy}"


class StoreFull(StoreUnavailable):
    """No space or quota is left for what was to be written."""


class BlobStore(Protocol):
    """Bytes at locations.

    Every operation may raise StoreUnavailable; what it was doing can then be done again.
    """

    name: str
    """Part of a blob's identity, with its encryption key's id and its digest; ``default`` for the only store."""

    async def write(self, location: Location, content: AsyncIterator[bytes | memoryview]) -> int:
        """Write everything the iterator gives and answer its size, once it survives a power cut.

        Nothing is at the location before. An exception from the iterator, or a cancellation, ends the write and leaves
        nothing there. A piece must not be changed after it was given. What lay at the location before is replaced.

        Raises:
            StoreFull: nothing was left behind.

        """
        ...

    async def join(self, segments: Sequence[Stored], location: Location) -> None:
        """Put the segments together, in order, as one; durable and all or nothing, as ``write`` is.

        The segments stay as they are until the caller deletes them, which is once a row points to the location: a crash
        or a second attempt at any moment costs time and nothing else. Give each attempt a location of its own; what
        given up attempts left is found by ``clear``.

        Raises:
            BlobMissing: a segment is missing or shorter than recorded.
            StoreFull: nothing was left behind.

        """
        ...

    async def size(self, location: Location) -> int | None:
        """Answer how many bytes lie at the location; None when nothing does."""
        ...

    def read(self, location: Location, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from ``first`` to ``last``, both included, in pieces of about ``READ_BYTES``.

        None reads to the end; of a range beyond the blob there is less, or nothing. Deleted while being read is fine for a
        folder; an object store may break off.

        Raises:
            BlobMissing: with the first piece.

        """
        ...

    async def delete(self, locations: Sequence[Location]) -> None:
        """Delete, for good, what lies at the locations; what is missing is passed over."""
        ...

    async def clear(self, prefix: Location, *, keep: Collection[Location] = ()) -> None:
        """Delete everything whose location begins with the prefix, unfinished writes of a crashed process included.

        With ``layout.prefix(upload)``: all that an aborted upload left; with the location of its blob in ``keep``, what
        a committed one needs no more.
        """
        ...

    def list(self, prefix: Location) -> AsyncIterator[Stored]:
        """Give everything whose location begins with the prefix, in no order.

        Unfinished writes may be among it; like any stray they have no row, and can be deleted by their location.
        """
        ...

    def local_path(self, location: Location) -> Path | None:
        """Answer the file to hand to the server, when there is one; whether it exists was not looked at."""
        ...

    async def signed_url(self, location: Location, lifetime: timedelta) -> str | None:
        """Answer a URL at which anybody may GET the bytes, ranges too, for a while; None when the store has none to give.

        Object stores sign for at most 7 days, and never beyond the end of the credentials they sign with.
        """
        ...

    async def check(self) -> None:
        """Write, read and delete a few bytes.

        Raises:
            StoreUnavailable: what is wrong and the remedy.

        """
        ...

    async def close(self) -> None:
        """Let go of threads and connections, once the writes being given up have cleaned up after themselves."""
        ...
