"""What the folder store acknowledged survives a power cut, at whatever call it comes; and nothing is ever there in part."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ecru.blobs import layout
from ecru.blobs.folder import FolderStore
from ecru.blobs.store import BlobStore, Location, Stored, StoreUnavailable
from tests.contract.blobs.content import MEBIBYTE, arriving, everything, held, some_bytes
from tests.contract.blobs.losing import LosingFiles

pytestmark = pytest.mark.anyio

UPLOAD = UUID("1b4e28ba-2fa1-4d1f-883f-0016d3cca427")
FIRST, SECOND = layout.segment(UPLOAD, 0, "00000001"), layout.segment(UPLOAD, 1, "00000002")
JOINED = layout.joined(UPLOAD, "00000003")
CONTENTS = {FIRST: some_bytes(2 * MEBIBYTE + 5, 1), SECOND: some_bytes(MEBIBYTE, 2)}
WHOLE = CONTENTS[FIRST] + CONTENTS[SECOND]
BOTH_DISKS = pytest.mark.parametrize("names_survive", [False, True], ids=["only-what-was-synced", "names-before-bytes"])

Cut = Callable[[int], LosingFiles]
Work = Callable[[BlobStore], Awaitable[object]]


async def one_write(store: BlobStore) -> None:
    await store.write(FIRST, arriving(CONTENTS[FIRST]))


async def two_writes_and_a_join(store: BlobStore) -> None:
    segments = [Stored(location, await store.write(location, arriving(content))) for location, content in CONTENTS.items()]
    await store.join(segments, JOINED)


WORK = pytest.mark.parametrize("work", [one_write, two_writes_and_a_join])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "live"


@pytest.fixture
def cut(root: Path) -> Iterator[Cut]:
    """Give disks whose power is cut after so many calls."""
    made: list[LosingFiles] = []

    def disk(calls_left: int) -> LosingFiles:
        made.append(LosingFiles(root, calls_left))
        return made[-1]

    yield disk
    for files in made:
        files.close()


async def do(work: Work, root: Path, files: LosingFiles) -> bool:
    """Do the work until the power is cut; True when it was acknowledged."""
    store = FolderStore(root, files=files)
    try:
        await work(store)
    except StoreUnavailable:
        return False
    finally:
        await store.close()
    return True


async def found(disk: Path) -> dict[Location, bytes]:
    """Answer what a new process finds on the disk, unfinished writes aside."""
    store = FolderStore(disk)
    contents = {stored.location: await held(store, stored.location) for stored in await everything(store)}
    await store.close()
    return {location: content for location, content in contents.items() if ".half." not in location}


async def calls_of(work: Work, root: Path, cut: Cut) -> int:
    files = cut(1_000_000)
    assert await do(work, root, files)
    return len(files.calls)


@BOTH_DISKS
async def test_a_write_that_returned_survives(tmp_path: Path, root: Path, cut: Cut, names_survive: bool) -> None:
    files = cut(1_000_000)
    assert await do(one_write, root, files)

    assert await found(files.after_power_cut(tmp_path / "disk", names_survive=names_survive)) == {FIRST: CONTENTS[FIRST]}


@BOTH_DISKS
async def test_a_join_that_returned_survives(tmp_path: Path, root: Path, cut: Cut, names_survive: bool) -> None:
    files = cut(1_000_000)
    assert await do(two_writes_and_a_join, root, files)

    assert await found(files.after_power_cut(tmp_path / "disk", names_survive=names_survive)) == {**CONTENTS, JOINED: WHOLE}


@BOTH_DISKS
@WORK
async def test_a_power_cut_before_any_call_leaves_whole_blobs_or_none(
    tmp_path: Path, cut: Cut, work: Work, names_survive: bool
) -> None:
    expected = {**CONTENTS, JOINED: WHOLE}
    calls = await calls_of(work, tmp_path / "measured", lambda left: LosingFiles(tmp_path / "measured", left))

    for calls_left in range(2, calls):
        root = tmp_path / f"live-{calls_left}"
        files = LosingFiles(root, calls_left)
        assert not await do(work, root, files)

        there = await found(files.after_power_cut(tmp_path / f"disk-{calls_left}", names_survive=names_survive))
        assert there == {location: expected[location] for location in there}
        files.close()


@BOTH_DISKS
async def test_a_join_cut_off_anywhere_can_be_done_again(tmp_path: Path, names_survive: bool) -> None:
    measured = LosingFiles(tmp_path / "measured")
    calls = await calls_of(two_writes_and_a_join, tmp_path / "measured", lambda _: measured)
    writes = await calls_of(_writes, tmp_path / "two", lambda left: LosingFiles(tmp_path / "two", left))
    segments = [Stored(location, len(content)) for location, content in CONTENTS.items()]

    for calls_left in range(writes, calls):
        root = tmp_path / f"live-{calls_left}"
        files = LosingFiles(root, calls_left)
        assert not await do(two_writes_and_a_join, root, files)

        store = FolderStore(files.after_power_cut(tmp_path / f"disk-{calls_left}", names_survive=names_survive))
        await store.join(segments, JOINED)
        assert await held(store, JOINED) == WHOLE
        await store.clear(layout.prefix(UPLOAD), keep=[JOINED])
        assert await everything(store) == {Stored(JOINED, len(WHOLE))}
        await store.close()
        files.close()


async def _writes(store: BlobStore) -> None:
    for location, content in CONTENTS.items():
        await store.write(location, arriving(content))


@pytest.mark.parametrize(
    "left_out,names_survive", [("sync", True), ("sync", False), ("sync_folder", False)], ids=["bytes", "bytes-and-names", "names"]
)
async def test_a_store_that_left_a_sync_out_would_be_found_out(
    tmp_path: Path, root: Path, left_out: str, names_survive: bool
) -> None:
    files = LosingFiles(root, without=lambda call: call == left_out)
    assert await do(one_write, root, files)

    assert await found(files.after_power_cut(tmp_path / "disk", names_survive=names_survive)) != {FIRST: CONTENTS[FIRST]}
    files.close()


async def test_the_order_of_a_write_is_kept(root: Path, cut: Cut) -> None:
    files = cut(1_000_000)
    assert await do(one_write, root, files)

    at_start = ["make_folder", "sync_folder"]
    first_use_of_the_folder = ["make_folder", "sync_folder"]
    writes = [call for call in files.calls if call == "write"]
    assert files.calls == [*at_start, *first_use_of_the_folder, "create", *writes, "sync", "rename", "sync_folder"]


async def test_another_process_makes_sure_of_a_folder_that_is_there(tmp_path: Path, root: Path, cut: Cut) -> None:
    """The one that made it may have been slower to sync its name than this one is to acknowledge a blob in it."""
    maker = cut(1_000_000)
    maker.make_folder(root)
    maker.make_folder(root / FIRST.split("/")[0])
    files = cut(1_000_000)

    assert await do(one_write, root, files)

    assert await found(files.after_power_cut(tmp_path / "disk", names_survive=False)) == {FIRST: CONTENTS[FIRST]}


async def test_a_delete_that_returned_is_not_undone(tmp_path: Path, root: Path, cut: Cut) -> None:
    async def write_and_delete(store: BlobStore) -> None:
        await one_write(store)
        await store.delete([FIRST])

    files = cut(1_000_000)
    assert await do(write_and_delete, root, files)

    assert await found(files.after_power_cut(tmp_path / "disk", names_survive=False)) == {}


async def test_a_delete_done_again_after_a_kill_is_not_undone(tmp_path: Path, root: Path, cut: Cut) -> None:
    """The first was killed between its two calls: the file is gone, which the disk does not know yet."""
    files = cut(1_000_000)
    assert await do(one_write, root, files)
    files.delete(root / FIRST)

    store = FolderStore(root, files=files)
    await store.delete([FIRST])
    await store.close()

    assert await found(files.after_power_cut(tmp_path / "disk", names_survive=False)) == {}


async def test_what_a_crash_left_is_found_by_its_upload(tmp_path: Path, root: Path, cut: Cut) -> None:
    files = cut(7)
    with suppress(StoreUnavailable):
        await do(one_write, root, files)
    store = FolderStore(files.after_power_cut(tmp_path / "disk", names_survive=True))
    left = {stored.location for stored in await everything(store)}
    assert [location for location in left if ".half." in location]

    await store.clear(layout.prefix(uuid4()))
    assert {stored.location for stored in await everything(store)} == left
    await store.clear(layout.prefix(UPLOAD))
    assert await everything(store) == set()
    await store.close()
