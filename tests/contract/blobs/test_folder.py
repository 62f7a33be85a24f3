"""What the folder store promises beside the contract: modes, threads, full disks, and files that are let go of."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from typing_extensions import override

from ecru.blobs import layout
from ecru.blobs.files import SystemFiles
from ecru.blobs.folder import FolderStore
from ecru.blobs.store import Location, StoreFull, StoreUnavailable
from tests.contract.blobs.content import MEBIBYTE, a_segment, arriving, everything, held, needs_root, some_bytes, written

pytestmark = pytest.mark.anyio


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[FolderStore]:
    store = FolderStore(tmp_path / "blobs")
    yield store
    await store.close()


class SlowFiles(SystemFiles):
    """Syncs a file only when it is let."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.let = threading.Event()

    @override
    def sync(self, file: int) -> None:
        self.reached.set()
        self.let.wait()
        super().sync(file)


class BrokenFiles(SystemFiles):
    """Fails at one call."""

    def __init__(self, call: str, number: int) -> None:
        self._call = call
        self._number = number

    def _reached(self, call: str) -> None:
        if call == self._call:
            raise OSError(self._number, os.strerror(self._number))

    @override
    def create(self, path: Path) -> int:
        self._reached("create")
        return super().create(path)

    @override
    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> None:
        self._reached("write")
        super().write(file, buffers)

    @override
    def sync(self, file: int) -> None:
        self._reached("sync")
        super().sync(file)

    @override
    def rename(self, old: Path, new: Path) -> None:
        self._reached("rename")
        super().rename(old, new)

    @override
    def sync_folder(self, path: Path) -> None:
        if path.parent.name == "blobs":
            self._reached("sync_folder")
        super().sync_folder(path)


@needs_root
async def test_a_full_disk_is_said_to_be_full_and_nothing_is_left(small_disk: Path) -> None:
    store = FolderStore(small_disk / "blobs")
    [kept] = await written(store, some_bytes(6 * MEBIBYTE))

    with pytest.raises(StoreFull, match="free space"):
        await store.write(a_segment(), arriving(some_bytes(17 * MEBIBYTE)))
    with pytest.raises(StoreFull):
        await store.join([kept, kept, kept], a_segment())

    assert await everything(store) == {kept}
    location = a_segment()
    await store.write(location, arriving(some_bytes(4 * MEBIBYTE)))
    assert await held(store, location) == some_bytes(4 * MEBIBYTE)
    assert await held(store, kept.location) == some_bytes(6 * MEBIBYTE)
    await store.close()


@pytest.mark.parametrize("call", ["create", "write", "sync", "rename", "sync_folder"])
async def test_a_call_that_fails_is_never_an_acknowledged_write(tmp_path: Path, call: str) -> None:
    store = FolderStore(tmp_path / "blobs", files=BrokenFiles(call, errno.EIO))

    with pytest.raises(StoreUnavailable, match="Input/output error; check the disk"):
        await store.write(a_segment(), arriving(some_bytes(3 * MEBIBYTE)))
    with pytest.raises(StoreUnavailable):
        await store.check()

    assert await everything(store) == set()
    await store.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
async def test_no_space_is_no_other_fault(tmp_path: Path, number: int) -> None:
    store = FolderStore(tmp_path / "blobs", files=BrokenFiles("write", number))

    with pytest.raises(StoreFull):
        await store.check()
    await store.close()


async def test_a_root_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StoreUnavailable, match="move it away"):
        FolderStore(tmp_path / "taken" / "blobs")


async def test_nobody_else_on_the_machine_reads_blobs(folder: FolderStore, tmp_path: Path) -> None:
    [segment] = await written(folder, b"private")

    file = folder.local_path(segment.location)
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "blobs", file.parent)} == {0o700}


async def test_a_write_cancelled_while_it_is_synced_is_taken_back(tmp_path: Path) -> None:
    files = SlowFiles()
    store = FolderStore(tmp_path / "blobs", files=files)
    location = a_segment()
    writing = asyncio.create_task(store.write(location, arriving(b"content")))
    await asyncio.to_thread(files.reached.wait)

    writing.cancel()
    await asyncio.sleep(0)
    # Again, as a cancelled scope does at every await.
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    files.let.set()
    await store.close()

    assert await everything(FolderStore(tmp_path / "blobs")) == set()


async def test_a_thread_that_comes_late_writes_nothing(folder: FolderStore) -> None:
    """It may have been about to write when its task was cancelled; its file is closed, and its number another file's."""
    with suppress(EOFError):
        async with folder._unfinished(a_segment()) as unfinished:
            unfinished.write([b"before"])
            raise EOFError

    with pytest.raises(OSError, match="given up"):
        unfinished.write([b"late"])
    assert await everything(folder) == set()


async def test_reads_do_not_wait_for_writes_on_a_slow_disk(tmp_path: Path) -> None:
    [segment] = await written(FolderStore(tmp_path / "blobs"), b"content")
    files = SlowFiles()
    store = FolderStore(tmp_path / "blobs", files=files)
    writing = [asyncio.create_task(store.write(a_segment(), arriving(b"slow"))) for _ in range(40)]
    await asyncio.to_thread(files.reached.wait)

    assert await held(store, segment.location) == b"content"
    assert not any(task.done() for task in writing)

    files.let.set()
    await asyncio.gather(*writing)
    await store.close()


async def test_a_write_that_was_cleared_away_meanwhile_is_not_acknowledged(folder: FolderStore) -> None:
    upload_id = uuid4()

    async def content() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield some_bytes(MEBIBYTE)
        await folder.clear(layout.prefix(upload_id))

    with pytest.raises(StoreUnavailable, match="deleted while it was written"):
        await folder.write(a_segment(upload_id), content())

    assert await everything(folder) == set()


async def test_a_blob_deleted_while_it_is_read_is_read_to_its_end(folder: FolderStore) -> None:
    content = some_bytes(3 * MEBIBYTE)
    [segment] = await written(folder, content)
    reading = folder.read(segment.location)
    beginning = await anext(reading)

    await folder.delete([segment.location])

    assert beginning + b"".join([piece async for piece in reading]) == content


async def test_files_are_let_go_of(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "blobs")
    [segment] = await written(store, some_bytes(3 * MEBIBYTE))
    arrived = asyncio.Barrier(11)

    async def left_early() -> None:
        async for _ in store.read(segment.location):
            await arrived.wait()
            await asyncio.Event().wait()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield some_bytes(MEBIBYTE)
        await arrived.wait()
        await asyncio.Event().wait()

    tasks = [asyncio.ensure_future(work) for _ in range(5) for work in (left_early(), store.write(a_segment(), endless()))]
    await arrived.wait()
    opened = len(_open_below(tmp_path))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()

    assert opened == len(tasks)
    assert _open_below(tmp_path) == []


async def test_a_folder_that_was_tidied_away_is_made_again(folder: FolderStore) -> None:
    location = a_segment()
    await folder.write(location, arriving(b"content"))
    await folder.delete([location])
    file = folder.local_path(location)
    assert file is not None
    file.parent.rmdir()

    await folder.write(location, arriving(b"content"))

    assert await held(folder, location) == b"content"


async def test_a_root_that_is_gone_is_not_made_again(folder: FolderStore, tmp_path: Path) -> None:
    """Else blobs would go to the disk below while the one for them is not mounted."""
    (tmp_path / "blobs").rmdir()

    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the folder is gone"):
            await folder.write(a_segment(), arriving(b"content"))

    assert not (tmp_path / "blobs").exists()


async def test_links_that_lie_in_the_folder_are_not_followed(folder: FolderStore, tmp_path: Path) -> None:
    upload_id = uuid4()
    [other] = await written(folder, b"content")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (tmp_path / "blobs" / "ff").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "ff" / "link").symlink_to(outside)

    await folder.clear(Location("ff/"))
    await folder.clear(layout.prefix(upload_id))

    assert (outside / "precious").read_text() == "precious"
    assert await everything(folder) == {other}


async def test_what_others_keep_in_the_folder_is_left_alone(folder: FolderStore, tmp_path: Path) -> None:
    """A disk of its own has a folder for what was found in repair; network file systems hide names of theirs in it."""
    [segment] = await written(folder, b"content")
    (tmp_path / "blobs" / "lost+found").mkdir()
    (tmp_path / "blobs" / "lost+found" / "something").touch()
    (tmp_path / "blobs" / ".nfs0001").touch()

    assert await everything(folder) == {segment}
    await folder.clear(layout.EVERYTHING)

    assert (tmp_path / "blobs" / "lost+found" / "something").exists()
    assert (tmp_path / "blobs" / ".nfs0001").exists()


def _open_below(folder: Path) -> list[str]:
    names = []
    for number in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            names.append(str(number.readlink()))
    return [name for name in names if name.startswith(str(folder))]
