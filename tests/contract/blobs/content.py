"""Content for blob stores: bodies as they arrive, and what a location holds."""

import asyncio
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterable
from uuid import UUID, uuid4

import pytest

from ecru.blobs import layout
from ecru.blobs.store import BlobStore, Location, Stored

# As the server hands bodies over, about.
ARRIVING_BYTES = 400_000
MEBIBYTE = 1024 * 1024

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


def some_bytes(size_bytes: int, seed: int = 1) -> bytes:
    """Answer bytes that differ everywhere, the same for the same seed."""
    return random.Random(seed).randbytes(size_bytes)  # noqa: S311  to be repeated, not to be guessed


async def arriving(content: bytes, piece_bytes: int = ARRIVING_BYTES) -> AsyncIterator[bytes]:
    """Give the content as a body arrives."""
    for offset in range(0, len(content), piece_bytes):
        await asyncio.sleep(0)
        yield content[offset : offset + piece_bytes]


async def given(pieces: Iterable[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """Give the pieces as they are."""
    for piece in pieces:
        yield piece


def a_segment(upload_id: UUID | None = None, index: int = 0) -> Location:
    """Answer a location that nothing else has."""
    return layout.segment(upload_id or uuid4(), index, secrets.token_hex(4))


async def held(store: BlobStore, location: Location, first: int = 0, last: int | None = None) -> bytes:
    """Answer what the store reads there."""
    return b"".join([piece async for piece in store.read(location, first, last)])


async def written(store: BlobStore, *contents: bytes) -> list[Stored]:
    """Write the contents as the segments of one upload."""
    upload_id = uuid4()
    segments: list[Stored] = []
    for index, content in enumerate(contents):
        location = a_segment(upload_id, index)
        segments.append(Stored(location, await store.write(location, arriving(content))))
    return segments


async def everything(store: BlobStore, prefix: Location = layout.EVERYTHING) -> set[Stored]:
    """Answer all that lies in the store."""
    return {stored async for stored in store.list(prefix)}
