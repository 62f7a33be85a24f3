"""Blobs in an object store: S3 and what speaks it, Google Cloud Storage, Azure Blob Storage.

What is small goes up in one request, anything else in parts of one size. Object stores make either visible at once and whole,
and durable before they answer. What a layer needs in memory is one part, or a few while few layers are on their way.

``obstore`` reads what it uploads from an iterator, in a task of its own; it takes the parts of an upload back when that
iterator raises, and forgets them in the store when the task is cancelled. So the task that receives a body hands it over
through a ``_Passage``, is the only one of the two that can be cancelled, and ends the other by making its iterator raise.

What remains of a process that was killed in the middle of an upload in parts is invisible, is paid for, and can be seen by
nobody here: the bucket needs a lifecycle rule that aborts unfinished multipart uploads after a day or more.
"""

import asyncio
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store
from typing_extensions import override

from ecru.blobs import layout
from ecru.blobs.store import READ_BYTES, BlobMissing, BlobStore, Location, Stored, StoreFull, StoreUnavailable

# S3 takes 10,000 parts of at least 5 MiB. The bodies that clients send have no length, so each part must be large enough for
# ECR's largest layer, 52,000 MiB; and no larger, since it is held in memory.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_PART_BYTES = 5_376 * 1024
# Up to here one request instead of three; the body is held, and once more while it is put in one piece.
_SINGLE_BYTES = 4 * 1024 * 1024
# Parts that the uploads of a process share beyond the one that each has: what makes a lone upload fast, and keeps 20 of them, over
# two processes and with what else a body takes on its way, below 300 MB: tests/durability/test_memory.py.
_SPARE_PARTS = 2
_LISTED_AT_ONCE = 1000
_CHECK_SECONDS = 10
_LINGER_SECONDS = 0.05
# How stores say that there is no room, beside the status 507: MinIO, Ceph and others, in the code of the error's document.
_FULL = re.compile(r"\b507 Insufficient|XMinioStorageFull|QuotaExceeded|InsufficientStorage|InsufficientCapacity")
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist")
_BEYOND = re.compile(r"InvalidRange|416 Range Not Satisfiable")
_SAID = re.compile(r"<Code>([^<]{1,100})</Code>\s*<Message>([^<]{1,300})</Message>")

Bucket = S3Store | GCSStore | AzureStore


class ObjectStore(BlobStore):
    """Keeps blobs in a bucket, below the prefix that the bucket was opened with.

    ``seen_as`` is the bucket as clients reach it, when that is not how we do: URLs are signed for it. ``title`` names the
    store in messages.
    """

    def __init__(self, bucket: Bucket, *, title: str, seen_as: Bucket | None = None, name: str = "default") -> None:
        self.name = name
        self._bucket = bucket
        self._seen_as = seen_as or bucket
        self._title = title
        self._spare_parts = _SPARE_PARTS
        self._ending: set[asyncio.Task[None]] = set()

    @override
    async def write(self, location: Location, content: AsyncIterator[bytes | memoryview]) -> int:
        layout.parse_location(location)
        held: deque[bytes | memoryview] = deque()
        held_bytes = 0
        async for piece in content:
            held.append(piece)
            held_bytes += len(piece)
            if held_bytes > _SINGLE_BYTES:
                return await self._write_parts(location, held, content)
        whole = b"".join(held)
        held.clear()
        await self._to_the_end(location, obstore.put_async(self._bucket, location, whole, use_multipart=False))
        return held_bytes

    @override
    async def join(self, segments: Sequence[Stored], location: Location) -> None:
        async def content() -> AsyncIterator[bytes]:
            for segment in segments:
                left = segment.size_bytes
                if left:
                    async for piece in self.read(segment.location, 0, left - 1):
                        left -= len(piece)
                        yield piece
                if left:
                    raise BlobMissing(segment.location, segment.size_bytes)

        await self.write(location, content())

    @override
    async def size(self, location: Location) -> int | None:
        try:
            with self._explained(location):
                return (await obstore.head_async(self._bucket, location))["size"]
        except BlobMissing:
            return None

    @override
    async def read(self, location: Location, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        if last is not None and last < first:
            return
        options: obstore.GetOptions = {}
        if last is not None:
            options = {"range": (first, last + 1)}
        elif first:
            options = {"range": {"offset": first}}
        with self._explained(location):
            try:
                answer = await obstore.get_async(self._bucket, location, options=options)
            except BaseError as error:
                if _BEYOND.search(str(error)):
                    return
                raise
        pieces = aiter(answer.stream(READ_BYTES))
        while True:
            with self._explained(location):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    @override
    async def delete(self, locations: Sequence[Location]) -> None:
        if not locations:
            return
        with self._explained():
            try:
                await obstore.delete_async(self._bucket, locations)
            except FileNotFoundError:
                # S3 passes over what is missing; the others stop there.
                for location in locations:
                    with suppress(FileNotFoundError):
                        await obstore.delete_async(self._bucket, [location])

    @override
    async def clear(self, prefix: Location, *, keep: Collection[Location] = ()) -> None:
        found: list[Location] = []
        async for stored in self.list(prefix):
            if stored.location not in keep:
                found.append(stored.location)
            if len(found) == _LISTED_AT_ONCE:
                await self.delete(found)
                found = []
        await self.delete(found)

    @override
    async def list(self, prefix: Location) -> AsyncIterator[Stored]:
        # Its prefixes are whole names of folders. Names come in the order of their bytes, so that those of one upload are found
        # without listing all that lie beside them.
        folder, beginning = layout.split_prefix(prefix)
        offset = prefix[:-1] if beginning else None
        pages = aiter(obstore.list(self._bucket, folder or None, offset=offset, chunk_size=_LISTED_AT_ONCE))
        while True:
            with self._explained():
                page = await anext(pages, None)
            if page is None:
                return
            for found in page:
                if found["path"].startswith(prefix):
                    yield Stored(Location(found["path"]), found["size"])
                elif found["path"] > prefix:
                    return

    @override
    def local_path(self, location: Location) -> Path | None:
        return None

    @override
    async def signed_url(self, location: Location, lifetime: timedelta) -> str | None:
        with self._explained(location):
            return await obstore.sign_async(self._seen_as, "GET", layout.parse_location(location), lifetime)

    @override
    async def check(self) -> None:
        location = layout.probe(secrets.token_hex(8))
        probe = location.encode()
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                with self._explained():
                    await obstore.put_async(self._bucket, location, probe, use_multipart=False)
                    read = bytes(await (await obstore.get_async(self._bucket, location)).bytes_async())
                    await obstore.delete_async(self._bucket, [location])
        except TimeoutError:
            remedy = "check its endpoint, and that it can be reached from here"
            raise StoreUnavailable(self._title, f"no answer within {_CHECK_SECONDS} seconds", remedy) from None
        if read != probe:
            raise StoreUnavailable(self._title, "a probe does not read as it was written", "check what lies between it and here")

    @override
    async def close(self) -> None:
        while self._ending:
            await asyncio.wait(self._ending)
        # obstore's threads still let go of what their last call gave them; under a Python that has ended by then, they abort it.
        await asyncio.sleep(_LINGER_SECONDS)

    async def _write_parts(
        self, location: Location, held: deque[bytes | memoryview], content: AsyncIterator[bytes | memoryview]
    ) -> int:
        size_bytes = 0
        passage = _Passage()
        parts = 1 + self._spare_parts // 2
        self._spare_parts -= parts - 1
        try:
            upload = asyncio.ensure_future(
                obstore.put_async(
                    self._bucket, location, passage, use_multipart=True, chunk_size=_PART_BYTES, max_concurrency=parts
                )
            )
            upload.add_done_callback(passage.close)
            try:
                while held:
                    size_bytes += len(held[0])
                    await passage.send(held.popleft())
                async for piece in content:
                    size_bytes += len(piece)
                    await passage.send(piece)
                    if upload.done():
                        break
                await passage.send(None)
            except BaseException:
                passage.give_up()
                await self._undo(location, upload)
                raise
            await self._to_the_end(location, upload)
        finally:
            self._spare_parts += parts - 1
        return size_bytes

    async def _to_the_end(self, location: Location, upload: Awaitable[object]) -> None:
        """Wait for an upload that has all its bytes; if the caller is cancelled meanwhile, it ends by itself and is deleted."""
        running = asyncio.ensure_future(upload)
        try:
            with self._explained():
                await asyncio.shield(running)
        except asyncio.CancelledError:
            await self._undo(location, running)
            raise

    async def _undo(self, location: Location, upload: Awaitable[object]) -> None:
        """Wait until the upload has ended, and delete what it made; goes on by itself when the caller is cancelled."""

        async def end() -> None:
            try:
                await upload
            except Exception:  # noqa: BLE001  it was to fail, as _GivenUp in some wrapping of obstore's
                return
            with suppress(Exception):
                await obstore.delete_async(self._bucket, [location])

        ending = asyncio.create_task(end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)

    @contextmanager
    def _explained(self, location: Location | None = None) -> Iterator[None]:
        """Turn what obstore says into our errors."""
        try:
            yield
        except FileNotFoundError as error:
            if _NO_BUCKET.search(str(error)):
                remedy = "make the bucket or correct its name"
                raise StoreUnavailable(self._title, "there is no such bucket", remedy) from error
            if location is not None:
                raise BlobMissing(location) from None
            # What was being written, not what was looked for: somebody took its parts away.
            raise StoreUnavailable(self._title, _in_short(error), "try again, and look for who deletes there") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            remedy = "check its credentials (blobs_access_key_id), and that they may list, read, write and delete there"
            raise StoreUnavailable(self._title, _in_short(error), remedy) from error
        except BaseError as error:
            if _FULL.search(str(error)):
                raise StoreFull(self._title, "no space or quota is left", "make room there or raise the quota") from error
            remedy = "check its endpoint, and that it can be reached from here"
            raise StoreUnavailable(self._title, _in_short(error), remedy) from error


class _GivenUp(Exception):
    """Raised to obstore, so that it takes an upload back."""


class _Passage:
    """Hands pieces from the task that receives a body to the one that uploads it, one at a time."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | memoryview | _GivenUp | None] = asyncio.Queue(1)
        self._closed = False

    async def send(self, piece: bytes | memoryview | None) -> None:
        """Wait until there is room and hand over; None is the end. Once nobody takes any, pieces are dropped."""
        if not self._closed:
            await self._pieces.put(piece)

    def give_up(self) -> None:
        """Let the other side raise instead of waiting for more."""
        self._drop()
        self._pieces.put_nowait(_GivenUp())

    def close(self, _: object = None) -> None:
        """Drop what comes: the other side has ended."""
        self._closed = True
        self._drop()

    def __aiter__(self) -> "_Passage":
        return self

    async def __anext__(self) -> bytes | memoryview:
        piece = await self._pieces.get()
        if isinstance(piece, _GivenUp):
            raise piece
        if piece is None:
            raise StopAsyncIteration
        return piece

    def _drop(self) -> None:
        while not self._pieces.empty():
            self._pieces.get_nowait()


def _in_short(error: Exception) -> str:
    """Answer what the store said, or else the first line: what follows is obstore's own view of itself."""
    said = _SAID.search(str(error))
    return f"{said[1]}: {said[2]}" if said else str(error).partition("\n")[0][:300]
