"""Blobs in memory: for tests, which need no disk, and for nobody else."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import timedelta
from pathlib import Path

from typing_extensions import override

from ecru.blobs import layout
from ecru.blobs.store import READ_BYTES, BlobMissing, BlobStore, Location, Stored


class MemoryStore(BlobStore):
    """Keeps everything in a dictionary and loses it with the process."""

    def __init__(self, name: str = "default") -> None:
        self.name = name
        self._blobs: dict[Location, bytes] = {}

    @override
    async def write(self, location: Location, content: AsyncIterator[bytes | memoryview]) -> int:
        layout.parse_location(location)
        whole = bytearray()
        async for piece in content:
            whole += piece
        self._blobs[location] = bytes(whole)
        return len(whole)

    @override
    async def join(self, segments: Sequence[Stored], location: Location) -> None:
        layout.parse_location(location)
        whole = bytearray()
        for segment in segments:
            held = self._blobs.get(segment.location, b"")
            if segment.location not in self._blobs or len(held) < segment.size_bytes:
                raise BlobMissing(segment.location, segment.size_bytes)
            whole += held[: segment.size_bytes]
        self._blobs[location] = bytes(whole)

    @override
    async def size(self, location: Location) -> int | None:
        blob = self._blobs.get(location)
        return None if blob is None else len(blob)

    @override
    async def read(self, location: Location, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        if location not in self._blobs:
            raise BlobMissing(location)
        blob = self._blobs[location]
        end = len(blob) if last is None else min(last + 1, len(blob))
        for offset in range(first, end, READ_BYTES):
            yield blob[offset : min(offset + READ_BYTES, end)]

    @override
    async def delete(self, locations: Sequence[Location]) -> None:
        for location in locations:
            self._blobs.pop(location, None)

    @override
    async def clear(self, prefix: Location, *, keep: Collection[Location] = ()) -> None:
        for location in [location for location in self._blobs if location.startswith(prefix) and location not in keep]:
            del self._blobs[location]

    @override
    async def list(self, prefix: Location) -> AsyncIterator[Stored]:
        for location, blob in tuple(self._blobs.items()):
            if location.startswith(prefix):
                yield Stored(location, len(blob))

    @override
    def local_path(self, location: Location) -> Path | None:
        return None

    @override
    async def signed_url(self, location: Location, lifetime: timedelta) -> str | None:
        return None

    @override
    async def check(self) -> None:
        pass

    @override
    async def close(self) -> None:
        pass
