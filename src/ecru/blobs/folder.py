"""Blobs in a folder: a file per location, there after a power cut once ``write`` has returned.

The order, for every write:

    create <location>.half.<nonce>  →  write … write  →  fsync(file)  →  rename to <location>  →  fsync(its folder)

and before the first write to a folder, by each process: make it, fsync its parent. No step may move: a rename that reaches the
disk before the bytes do is an empty blob, and an acknowledged name whose folder was not synced is none at all.

Nothing blocks the event loop. Reads and writes have threads of their own, few of each, so that pulls do not wait behind the
fsync of a slow disk, and a slow disk does not hold up what other code runs in threads. A write in a thread cannot be
cancelled, and a file's number is given to another file once it is closed: see ``_OpenFile``.
"""

import asyncio
import errno
import os
import secrets
import stat
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from typing_extensions import override

from ecru.blobs import layout
from ecru.blobs.files import Files, SystemFiles
from ecru.blobs.store import READ_BYTES, BlobMissing, BlobStore, Location, Stored, StoreFull, StoreUnavailable

# Bodies arrive in pieces of some 0.4 MB; a change of thread for each would cost more than the write.
_WRITE_BYTES = 1024 * 1024
# Between two steps of a join the caller can still change its mind.
_COPY_BYTES = 64 * 1024 * 1024
_DELETED_AT_ONCE = 1000
_THREADS = 16

_P = ParamSpec("_P")
_T = TypeVar("_T")


class FolderStore(BlobStore):
    """Keeps blobs below a folder, which it makes if it is not there.

    Raises:
        StoreUnavailable: the folder cannot be made.

    """

    def __init__(self, root: Path, *, name: str = "default", files: Files | None = None) -> None:
        self.name = name
        self._root = root.absolute()
        self._files = files or SystemFiles()
        self._readers = ThreadPoolExecutor(_THREADS, "ecru-blobs-read")
        self._writers = ThreadPoolExecutor(_THREADS, "ecru-blobs-write")
        self._settled: set[Path] = set()
        with _explained(self._root):
            self._make_root(self._root)

    @override
    async def write(self, location: Location, content: AsyncIterator[bytes | memoryview]) -> int:
        size_bytes = 0
        batch: list[bytes | memoryview] = []
        batch_bytes = 0
        async with self._unfinished(location) as unfinished:
            writing: asyncio.Future[None] | None = None
            try:
                async for piece in content:
                    batch.append(piece)
                    batch_bytes += len(piece)
                    if batch_bytes >= _WRITE_BYTES:
                        if writing is not None:
                            await writing
                        writing = asyncio.ensure_future(self._in_thread(self._writers, unfinished.write, batch))
                        writing.add_done_callback(_seen)
                        size_bytes += batch_bytes
                        batch, batch_bytes = [], 0
                if writing is not None:
                    await writing
            finally:
                if writing is not None:
                    writing.cancel()
            await self._in_thread(self._writers, unfinished.publish, batch)
        return size_bytes + batch_bytes

    @override
    async def join(self, segments: Sequence[Stored], location: Location) -> None:
        async with self._unfinished(location) as unfinished:
            for segment in segments:
                source = self._path(segment.location)
                for offset in range(0, segment.size_bytes, _COPY_BYTES):
                    size_bytes = min(_COPY_BYTES, segment.size_bytes - offset)
                    try:
                        copied = await self._in_thread(self._writers, unfinished.copy, source, offset, size_bytes)
                    except FileNotFoundError:
                        copied = 0
                    if copied < size_bytes:
                        raise BlobMissing(segment.location, segment.size_bytes)
            await self._in_thread(self._writers, unfinished.publish, [])

    @override
    async def size(self, location: Location) -> int | None:
        try:
            status = await self._in_thread(self._readers, os.stat, self._path(location))
        except FileNotFoundError:
            return None
        return status.st_size

    @override
    async def read(self, location: Location, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        file = _Readable(self._path(location))
        try:
            while last is None or first <= last:
                wanted = READ_BYTES if last is None else min(READ_BYTES, last - first + 1)
                try:
                    piece = await self._in_thread(self._readers, file.read, first, wanted)
                except FileNotFoundError:
                    raise BlobMissing(location) from None
                if not piece:
                    break
                first += len(piece)
                yield piece
        finally:
            # Not awaited: whoever left is gone, and the thread may still be reading.
            _submit(self._readers, file.close)

    @override
    async def delete(self, locations: Sequence[Location]) -> None:
        await self._in_thread(self._writers, self._delete, [self._path(location) for location in locations])

    @override
    async def clear(self, prefix: Location, *, keep: Collection[Location] = ()) -> None:
        found: list[Location] = []
        async for stored in self.list(prefix):
            if stored.location not in keep:
                found.append(stored.location)
            if len(found) == _DELETED_AT_ONCE:
                await self.delete(found)
                found = []
        await self.delete(found)

    @override
    async def list(self, prefix: Location) -> AsyncIterator[Stored]:
        folder, beginning = layout.split_prefix(prefix)
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            found, folders = await self._in_thread(self._readers, self._list_folder, folder, beginning)
            waiting += folders
            beginning = ""
            for stored in found:
                yield stored

    @override
    def local_path(self, location: Location) -> Path | None:
        return self._path(location)

    @override
    async def signed_url(self, location: Location, lifetime: timedelta) -> str | None:
        return None

    @override
    async def check(self) -> None:
        location = layout.probe(secrets.token_hex(8))

        async def content() -> AsyncIterator[bytes]:
            yield location.encode()

        await self.write(location, content())
        read = b"".join([piece async for piece in self.read(location)])
        await self.delete([location])
        if read != location.encode():
            raise StoreUnavailable(str(self._root), "a probe does not read as it was written", "check the disk and its file system")

    @override
    async def close(self) -> None:
        for threads in (self._writers, self._readers):
            await asyncio.to_thread(threads.shutdown)

    def _path(self, location: Location) -> Path:
        return self._root / layout.parse_location(location)

    async def _in_thread(self, threads: ThreadPoolExecutor, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with _explained(self._root):
            return await asyncio.wrap_future(threads.submit(call, *args, **kwargs))

    @asynccontextmanager
    async def _unfinished(self, location: Location) -> AsyncIterator["_Unfinished"]:
        """Give a file to write; whatever ends the block by an exception takes it away again, published or not."""
        target = self._path(location)
        beside = self._path(layout.unfinished(location, secrets.token_hex(4)))
        unfinished = _Unfinished(self._files, self._settle, beside, target)
        try:
            yield unfinished
        except BaseException:
            # Handed to the thread before anything is awaited: a cancelled task may be cancelled again here.
            discarding = _submit(self._writers, unfinished.discard)
            if discarding is not None:
                await asyncio.shield(asyncio.wrap_future(discarding))
            raise

    def _settle(self, folder: Path, *, anew: bool = False) -> None:
        """Make the folder, and its name durable.

        Asked of the disk once by each process, even when the folder is there: another process may have made it and not
        have synced it yet. The root is never made again: without it, the disk that held it is not there.
        """
        if folder == self._root:
            if not folder.is_dir():
                raise StoreUnavailable(str(folder), "the folder is gone", "mount its disk again, or restore it")
            return
        if folder in self._settled and not anew:
            return
        self._settle(folder.parent, anew=anew)
        self._files.make_folder(folder)
        self._files.sync_folder(folder.parent)
        self._settled.add(folder)

    def _make_root(self, root: Path) -> None:
        missing = [folder for folder in (root, *root.parents) if not folder.exists()]
        for folder in reversed(missing):
            self._files.make_folder(folder)
            self._files.sync_folder(folder.parent)
        if not missing:
            # Another process may have made it this moment. A parent that may not be opened was not made by us.
            with suppress(PermissionError):
                self._files.sync_folder(root.parent)

    def _delete(self, paths: Sequence[Path]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                self._files.delete(path)
        # Of what is missing too: who deleted it may have been killed before this.
        for folder in {path.parent for path in paths}:
            with suppress(FileNotFoundError):
                self._files.sync_folder(folder)

    def _list_folder(self, folder: str, beginning: str) -> tuple[Sequence[Stored], Sequence[str]]:
        found: list[Stored] = []
        folders: list[str] = []
        with suppress(FileNotFoundError), os.scandir(self._root / folder) as entries:
            for entry in entries:
                # lost+found and its like are not ours, and may not be ours to look into.
                if not entry.name.startswith(beginning) or not layout.is_location(entry.name):
                    continue
                name = f"{folder}/{entry.name}" if folder else entry.name
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(name)
                    elif stat.S_ISREG(status.st_mode):
                        found.append(Stored(Location(name), status.st_size))
        return found, folders


class _OpenFile:
    """A file that threads use one at a time, and never after it was closed.

    Without the lock, a file closed because its task was cancelled would leave its number to the next file opened, and a
    thread still busy would write there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number: int | None = None
        self._closed = False

    @contextmanager
    def _use(self, open_file: Callable[[], int]) -> Iterator[int]:
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "given up")
            if self._number is None:
                self._number = open_file()
            yield self._number

    def _close(self) -> None:
        self._closed = True
        if self._number is not None:
            number, self._number = self._number, None
            os.close(number)


class _Readable(_OpenFile):
    """A blob's file, opened with the first read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def read(self, offset: int, size_bytes: int) -> bytes:
        with self._use(self._open) as number:
            return os.pread(number, size_bytes, offset)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _open(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)


class _Settle(Protocol):
    def __call__(self, folder: Path, *, anew: bool = False) -> None: ...


class _Unfinished(_OpenFile):
    """A file on its way to a location."""

    def __init__(self, files: Files, settle: _Settle, beside: Path, target: Path) -> None:
        super().__init__()
        self._files = files
        self._settle = settle
        self._beside = beside
        self._target = target
        self._published = False

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        with self._use(self._create) as number:
            self._files.write(number, buffers)

    def copy(self, source: Path, offset: int, size_bytes: int) -> int:
        with self._use(self._create) as number:
            opened = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return self._files.copy(opened, number, offset, size_bytes)
            finally:
                os.close(opened)

    def publish(self, rest: Sequence[bytes | memoryview]) -> None:
        """Write the rest and go through the module's order."""
        with self._use(self._create) as number:
            self._files.write(number, rest)
            self._files.sync(number)
            self._close()
            try:
                self._files.rename(self._beside, self._target)
            except FileNotFoundError as error:
                raise StoreUnavailable(str(self._beside), "deleted while it was written", "send it again") from error
            self._published = True
            self._files.sync_folder(self._target.parent)

    def discard(self) -> None:
        """Leave nothing; what cannot be deleted now is found by ``clear``."""
        with self._lock, suppress(OSError):
            self._close()
            self._files.delete(self._target if self._published else self._beside)

    def _create(self) -> int:
        self._settle(self._target.parent)
        try:
            return self._files.create(self._beside)
        except FileNotFoundError:
            # Somebody tidied the empty folder away.
            self._settle(self._target.parent, anew=True)
            return self._files.create(self._beside)


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Turn what the operating system says into what the operator can do; a missing file is the caller's to judge."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            raise StoreFull(str(root), reason, "free space on the disk that holds it, or move it to a larger one") from error
        if error.errno == errno.EDQUOT:
            raise StoreFull(str(root), reason, "raise the quota of the user that ecru runs as") from error
        raise StoreUnavailable(str(root), reason, _remedy(error)) from error


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return "let the user that ecru runs as read and write it"
        case errno.EROFS:
            return "mount it for writing"
        case errno.EMFILE | errno.ENFILE:
            return "raise the limit of open files (ulimit -n)"
        case errno.ENOTDIR | errno.EEXIST:
            return "something that is no folder has its name: move it away"
        case _:
            return "check the disk and its file system"


def _seen(writing: asyncio.Future[None]) -> None:
    """Look at what a write raised, lest asyncio report it when the body's own fault was raised instead."""
    if not writing.cancelled():
        writing.exception()


def _submit(threads: ThreadPoolExecutor, call: Callable[[], None]) -> Future[None] | None:
    try:
        return threads.submit(call)
    except RuntimeError:
        # The store was closed meanwhile, and with it its threads.
        call()
        return None
