"""What every blob store promises."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import pytest

from ecru.blobs import layout
from ecru.blobs.layout import InvalidLocation
from ecru.blobs.memory import MemoryStore
from ecru.blobs.store import READ_BYTES, BlobMissing, BlobStore, Location, Stored
from tests.contract.blobs.content import (
    ARRIVING_BYTES,
    MEBIBYTE,
    a_segment,
    arriving,
    everything,
    given,
    held,
    some_bytes,
    written,
)

OpenStore = Callable[[], BlobStore]

pytestmark = pytest.mark.anyio

SIZES = [0, 1, READ_BYTES, ARRIVING_BYTES + 1, 3 * MEBIBYTE, 4 * MEBIBYTE, 4 * MEBIBYTE + 1, 13 * MEBIBYTE + 7]


class BodyFailedError(Exception):
    """What a body raises that cannot be read on; no store may turn it into something else."""


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_what_was_written_is_read(store: BlobStore, size_bytes: int) -> None:
    location, content = a_segment(), some_bytes(size_bytes)

    assert await store.write(location, arriving(content)) == size_bytes

    assert await store.size(location) == size_bytes
    assert await held(store, location) == content


async def test_pieces_of_any_size_are_taken(store: BlobStore) -> None:
    content = some_bytes(7 * MEBIBYTE)
    pieces: list[bytes | memoryview] = [
        content[:1],
        b"",
        memoryview(content)[1:70_000],
        content[70_000 : 6 * MEBIBYTE],
        b"",
        content[6 * MEBIBYTE :],
    ]
    location = a_segment()

    assert await store.write(location, given(pieces)) == len(content)

    assert await held(store, location) == content


async def test_many_tiny_pieces_are_taken(store: BlobStore) -> None:
    content = some_bytes(5_000)
    location = a_segment()

    await store.write(location, arriving(content, piece_bytes=1))

    assert await held(store, location) == content


@pytest.mark.parametrize(
    "first,last",
    [
        (0, 0),
        (0, 9),
        (5, 5),
        (999_990, None),
        (1_000_000, 1_999_999),
        (0, 1_999_999),
        (READ_BYTES - 1, READ_BYTES),
        (1_999_999, None),
        (1_999_999, 2_000_009),
        (2_000_000, 2_000_009),
        (2_000_000, None),
    ],
)
async def test_a_range_is_read_with_both_ends_included(store: BlobStore, first: int, last: int | None) -> None:
    content = some_bytes(2_000_000)
    [segment] = await written(store, content)

    assert await held(store, segment.location, first, last) == content[first : None if last is None else last + 1]


async def test_pieces_read_are_bounded(store: BlobStore) -> None:
    [segment] = await written(store, some_bytes(8 * MEBIBYTE))

    sizes = [len(piece) async for piece in store.read(segment.location)]

    assert sum(sizes) == 8 * MEBIBYTE
    assert max(sizes) <= 3 * READ_BYTES


async def test_a_large_blob_passes_in_bounded_memory(store: BlobStore) -> None:
    if isinstance(store, MemoryStore):
        pytest.skip("memory holds what it is given")
    size_bytes, piece = 64 * MEBIBYTE, some_bytes(MEBIBYTE)
    location = a_segment()
    before = most = _resident_bytes()

    async def content() -> AsyncIterator[bytes]:
        nonlocal most
        for _ in range(size_bytes // len(piece)):
            # A body is new memory at each piece.
            yield bytes(bytearray(piece))
            most = max(most, _resident_bytes())

    await store.write(location, content())
    read_bytes = 0
    async for read in store.read(location):
        read_bytes += len(read)
        most = max(most, _resident_bytes())

    assert read_bytes == size_bytes
    assert most - before < size_bytes // 2


async def test_nothing_is_visible_before_the_end(store: BlobStore) -> None:
    location = a_segment()
    seen: list[int | None] = []

    async def content() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield some_bytes(MEBIBYTE)
            seen.append(await store.size(location))

    await store.write(location, content())

    assert set(seen) == {None}


@pytest.mark.parametrize("size_bytes", [0, 1_000, 3 * MEBIBYTE, 14 * MEBIBYTE])
async def test_an_exception_from_the_iterator_leaves_nothing(store: BlobStore, size_bytes: int) -> None:
    location = a_segment()

    async def content() -> AsyncIterator[bytes]:
        async for piece in arriving(some_bytes(size_bytes)):
            yield piece
        raise BodyFailedError

    with pytest.raises(BodyFailedError):
        await store.write(location, content())

    assert await store.size(location) is None
    assert await everything(store) == set()


@pytest.mark.parametrize("size_bytes", [0, 1_000, 3 * MEBIBYTE, 14 * MEBIBYTE])
async def test_a_cancelled_write_leaves_nothing(store: BlobStore, size_bytes: int) -> None:
    location, arrived = a_segment(), asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        async for piece in arriving(some_bytes(size_bytes)):
            yield piece
        arrived.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(store.write(location, content()))
    await arrived.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await store.size(location) is None
    assert await everything(store) == set()


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
async def test_a_write_cancelled_at_any_moment_leaves_all_or_nothing(open_store: OpenStore, milliseconds: int) -> None:
    """A scope cancels at every await until it is left, as the server's middleware does; the cleaning must survive that."""
    store, location, content = open_store(), a_segment(), some_bytes(5 * MEBIBYTE)

    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().call_later(milliseconds / 1000, scope.cancel)
        await store.write(location, arriving(content))
    await store.close()

    store = open_store()
    assert await everything(store) == (set() if scope.cancelled_caught else {Stored(location, len(content))})
    await store.close()


async def test_writes_side_by_side_do_not_mix(store: BlobStore) -> None:
    contents = {a_segment(): some_bytes(size, seed=size) for size in range(0, 9 * MEBIBYTE, MEBIBYTE // 2 + 11)}

    await asyncio.gather(*(store.write(location, arriving(content)) for location, content in contents.items()))

    for location, content in contents.items():
        assert await held(store, location) == content


async def test_writing_again_replaces(store: BlobStore) -> None:
    location = a_segment()
    await store.write(location, arriving(some_bytes(9 * MEBIBYTE)))

    await store.write(location, arriving(b"short"))

    assert await store.size(location) == len(b"short")
    assert await held(store, location) == b"short"
    assert await everything(store) == {Stored(location, len(b"short"))}


@pytest.mark.parametrize("sizes", [(5,), (3 * MEBIBYTE, 2), (1, 0, MEBIBYTE, 5 * MEBIBYTE, 1), (300_000,) * 30], ids=str)
async def test_a_join_is_all_segments_in_order(store: BlobStore, sizes: tuple[int, ...]) -> None:
    contents = [some_bytes(size, seed) for seed, size in enumerate(sizes)]
    segments = await written(store, *contents)
    location = layout.joined(uuid4(), "00c0ffee")

    await store.join(segments, location)

    assert await held(store, location) == b"".join(contents)


async def test_a_join_can_be_done_again_since_segments_stay(store: BlobStore) -> None:
    upload_id, contents = uuid4(), [some_bytes(2 * MEBIBYTE, 1), some_bytes(5, 2)]
    segments = await written(store, *contents)
    first, second = layout.joined(upload_id, "00000001"), layout.joined(upload_id, "00000002")

    await store.join(segments, first)
    await store.join(segments, first)
    await store.join(segments, second)

    for location in (first, second):
        assert await held(store, location) == b"".join(contents)
    for segment, content in zip(segments, contents, strict=True):
        assert await held(store, segment.location) == content


async def test_a_join_outlives_its_segments(store: BlobStore) -> None:
    contents = [some_bytes(2 * MEBIBYTE, 1), some_bytes(5, 2)]
    segments = await written(store, *contents)
    location = layout.joined(uuid4(), "00c0ffee")
    await store.join(segments, location)

    await store.delete([segment.location for segment in segments])

    assert await held(store, location) == b"".join(contents)


async def test_a_join_takes_of_each_segment_what_was_recorded(store: BlobStore) -> None:
    segments = await written(store, b"recorded, and more", b"!")
    location = layout.joined(uuid4(), "00c0ffee")

    await store.join([Stored(segments[0].location, len(b"recorded")), segments[1]], location)

    assert await held(store, location) == b"recorded!"


@pytest.mark.parametrize("there", [b"", b"less"])
async def test_a_join_of_less_than_was_recorded_is_refused_and_leaves_nothing(store: BlobStore, there: bytes) -> None:
    segments = await written(store, some_bytes(MEBIBYTE), there)
    location = layout.joined(uuid4(), "00c0ffee")

    with pytest.raises(BlobMissing, match="fewer than the recorded 5 bytes"):
        await store.join([segments[0], Stored(segments[1].location, 5)], location)

    assert await everything(store) == set(segments)


async def test_a_join_without_a_segment_is_refused_and_leaves_nothing(store: BlobStore) -> None:
    segments = await written(store, some_bytes(MEBIBYTE), b"gone!")
    await store.delete([segments[1].location])

    with pytest.raises(BlobMissing):
        await store.join(segments, layout.joined(uuid4(), "00c0ffee"))

    assert await everything(store) == {segments[0]}


async def test_what_is_missing_is_said_to_be(store: BlobStore) -> None:
    location = a_segment()

    assert await store.size(location) is None
    with pytest.raises(BlobMissing):
        await anext(store.read(location))
    with pytest.raises(BlobMissing):
        await anext(store.read(location, 3, 5))


async def test_delete_passes_over_what_is_missing(store: BlobStore) -> None:
    segments = await written(store, b"one", b"two", b"three")

    await store.delete([])
    await store.delete([a_segment(), segments[0].location, a_segment(), segments[2].location])

    assert await everything(store) == {segments[1]}


async def test_clear_deletes_one_upload_and_no_other(store: BlobStore) -> None:
    upload_id = uuid4()
    neighbour = uuid4().hex[:-2] + upload_id.hex[-2:]
    mine = [a_segment(upload_id, index) for index in (0, 1, 10, 11)] + [layout.joined(upload_id, "00c0ffee")]
    others = [layout.segment(neighbour, 0, "00c0ffee"), a_segment()]
    for location in (*mine, *others):
        await store.write(location, arriving(b"something"))

    await store.clear(layout.prefix(upload_id))
    await store.clear(layout.prefix(upload_id))

    assert {stored.location for stored in await everything(store)} == set(others)


async def test_clear_keeps_what_it_is_told_to(store: BlobStore) -> None:
    upload_id = uuid4()
    segments = [a_segment(upload_id, index) for index in range(3)]
    blob = layout.joined(upload_id, "00c0ffee")
    for location in (*segments, blob):
        await store.write(location, arriving(b"something"))

    await store.clear(layout.prefix(upload_id), keep=[blob])

    assert await everything(store) == {Stored(blob, len(b"something"))}


async def test_clear_of_nothing_is_fine(store: BlobStore) -> None:
    await store.clear(layout.prefix(uuid4()))

    assert await everything(store) == set()


async def test_list_gives_nothing_of_the_uploads_beside(store: BlobStore) -> None:
    uploads = [UUID(f"{first}{'0' * 7}-0000-4000-8000-0000000000aa") for first in "13579"]
    for upload_id in uploads:
        for index in range(2):
            await store.write(a_segment(upload_id, index), arriving(b"content"))

    for upload_id in uploads:
        found = {layout.upload_of(stored.location) for stored in await everything(store, layout.prefix(upload_id))}
        assert found == {upload_id}
        assert len(await everything(store, layout.prefix(upload_id))) == 2


async def test_list_gives_what_begins_with_the_prefix(store: BlobStore) -> None:
    segments = await written(store, b"one", b"three", some_bytes(5 * MEBIBYTE))
    [other] = await written(store, b"other")

    upload_id = layout.upload_of(segments[0].location)
    assert upload_id is not None
    assert await everything(store, layout.prefix(upload_id)) == set(segments)
    assert await everything(store) == {*segments, other}


@pytest.mark.parametrize("text", ["", "/etc/passwd", "../up", "4e/../../up", "4e//x", "4e/.", "4e/x\0", "4e\\x", "a" * 300])
async def test_what_is_no_location_is_refused(store: BlobStore, text: str) -> None:
    with pytest.raises(InvalidLocation):
        await store.write(Location(text), arriving(b"bad"))

    assert await everything(store) == set()


async def test_a_check_leaves_nothing(store: BlobStore) -> None:
    await store.check()

    assert await everything(store) == set()


async def test_there_is_a_file_or_a_url_or_neither(store: BlobStore) -> None:
    [segment] = await written(store, b"content")

    path = store.local_path(segment.location)
    url = await store.signed_url(segment.location, timedelta(minutes=1))

    assert path is None or path.read_bytes() == b"content"
    assert url is None or url.startswith("http://")
    assert path is None or url is None


async def test_a_reader_may_leave_early(store: BlobStore) -> None:
    [segment] = await written(store, some_bytes(3 * MEBIBYTE))

    reading = store.read(segment.location)
    await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined]  # every implementation is a generator

    assert len(await held(store, segment.location)) == 3 * MEBIBYTE


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
