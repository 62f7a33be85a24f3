"""Uploads that were given up go with all their bytes, and nothing of an upload that became a blob does."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from ecru.blobs import layout
from ecru.errors import InvalidLayerPart, UploadNotFound
from ecru.jobs import expire_uploads as expiring
from ecru.jobs.collect import collect
from ecru.jobs.expire_uploads import expire_uploads
from ecru.metadata import tables
from ecru.oci.digest import digest_of
from ecru.registry import uploads
from ecru.registry.uploads import LONGEST_BODY
from tests.contract.holding import holding
from tests.contract.jobs.world import EXPIRY, HOME, MOMENT, World, holding_change, pieces, restarted
from tests.making import a_manifest

pytestmark = pytest.mark.anyio


async def test_an_upload_goes_with_its_bytes_when_its_time_is_over_and_not_before(world: World) -> None:
    session = await world.append("app", await world.begin("app"), b"first")
    await world.append("app", session, b"second")

    world.now += EXPIRY - MOMENT
    await world.run(expire_uploads)
    assert len(await world.locations()) == 2

    world.now += MOMENT
    await world.run(expire_uploads)
    assert await world.locations() == set()
    assert await world.count(tables.upload) == await world.count(tables.upload_segment) == 0
    with pytest.raises(UploadNotFound):
        await world.append("app", session, b"third")


async def test_each_part_gives_an_upload_its_whole_time_again(world: World) -> None:
    session = await world.begin("app")
    world.now += EXPIRY - MOMENT
    session = await world.append("app", session, b"first")

    world.now += EXPIRY - MOMENT
    await world.run(expire_uploads)

    await world.complete("app", session, digest_of(b"first"))
    assert await world.has_blob("app", digest_of(b"first"))


async def test_the_bytes_of_a_completed_upload_are_never_touched(world: World) -> None:
    for number in range(3):
        session = await world.append("app", await world.begin("app"), b"first")
        session = await world.append("app", session, b"second")
        if number == 1:
            await world.complete("app", session, digest_of(b"firstsecond"))
        if number == 2:
            await world.complete("app", session, digest_of(b"firstsecondthird"), b"third")
    await world.push_manifest("app", a_manifest(config=b"firstsecond", layers=[b"firstsecondthird"]))

    for _ in range(3):
        world.now += EXPIRY
        await world.run(expire_uploads)
        await world.run(collect)

    assert await world.has_blob("app", digest_of(b"firstsecond"))
    assert await world.has_blob("app", digest_of(b"firstsecondthird"))
    assert len(await world.locations()) == 2
    assert await world.count(tables.discarded) == 0


async def test_a_body_that_ends_after_its_upload_did_is_refused_and_leaves_nothing(world: World) -> None:
    session = await world.begin("app")

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"first half, "
        world.now += EXPIRY
        await world.run(expire_uploads)
        yield b"second half"

    with pytest.raises(InvalidLayerPart):
        await uploads.append(world.call, HOME, "app", session.upload.id, slow_body())

    assert await world.locations() == set()


async def test_what_a_process_wrote_and_died_over_after_its_upload_ended_is_found_a_day_later(world: World) -> None:
    session = await world.begin("app")
    world.now += EXPIRY
    await world.run(expire_uploads)
    # Durable, and its process killed before it could find its upload gone.
    await world.store.write(layout.segment(session.upload.id, 0, secrets.token_hex(4)), pieces(b"left behind"))

    world.now += LONGEST_BODY - MOMENT
    await world.run(collect)
    assert len(await world.locations()) == 1

    world.now += MOMENT
    await world.run(collect)
    assert await world.locations() == set()
    assert await world.count(tables.discarded) == 0


async def test_unfinished_writes_of_a_killed_process_go_too(world: World) -> None:
    session = await world.begin("app")
    location = layout.segment(session.upload.id, 0, secrets.token_hex(4))
    await world.store.write(layout.unfinished(location, secrets.token_hex(4)), pieces(b"half"))

    world.now += EXPIRY
    await world.run(expire_uploads)

    assert await world.locations() == set()


async def test_what_a_killed_process_left_of_an_upload_that_was_completed_later_goes_and_the_blob_stays(world: World) -> None:
    """Nobody who completes an upload can know what another process died over."""
    session = await world.begin("app")
    location = layout.segment(session.upload.id, 0, secrets.token_hex(4))
    await world.store.write(layout.unfinished(location, secrets.token_hex(4)), pieces(b"half"))
    await world.store.write(location, pieces(b"whole, without a row"))
    await world.complete("app", session, digest_of(b"content"), b"content")
    await world.push_manifest("app", a_manifest(config=b"content", layers=[]))

    world.now += LONGEST_BODY
    await world.run(collect)

    assert await world.has_blob("app", digest_of(b"content"))
    assert len(await world.locations()) == 1
    assert await world.count(tables.discarded) == 0


async def test_bytes_left_by_a_run_that_crashed_after_closing_are_found_by_the_collector(world: World) -> None:
    await world.append("app", await world.begin("app"), b"first")
    world.now += EXPIRY
    await world.database.write(expiring.close_expired, now=world.now)

    world.now += LONGEST_BODY
    await world.run(collect)

    assert await world.locations() == set()
    assert await world.count(tables.discarded) == 0


async def test_a_cancelled_upload_goes_with_its_bytes(world: World) -> None:
    session = await world.append("app", await world.begin("app"), b"first")
    kept = await world.push_blob("app", b"another")
    await uploads.cancel(world.call, HOME, "app", session.upload.id)

    world.now += timedelta(hours=1)
    await world.run(collect)

    assert len(await world.locations()) == 1
    assert await world.has_blob("app", kept)


async def test_a_run_goes_on_until_no_upload_is_left_and_a_second_one_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "BATCH", 2)
    for _ in range(5):
        await world.append("app", await world.begin("app"), b"first")
    world.now += EXPIRY

    await world.run(expire_uploads)
    assert await world.count(tables.upload) == 0
    first = await world.everything(tables.discarded)
    await world.run(expire_uploads)
    assert await world.everything(tables.discarded) == first


async def test_an_upload_resumed_elsewhere_is_left_whole_when_it_completes_at_the_last_moment(world: World) -> None:
    session = await world.append("app", await world.begin("app"), b"first")
    world.now += EXPIRY - MOMENT
    elsewhere = restarted(world)
    await elsewhere.complete("app", session, digest_of(b"firstlast"), b"last")

    world.now += LONGEST_BODY
    await world.run(expire_uploads)

    assert await world.has_blob("app", digest_of(b"firstlast"))
    assert await world.count(tables.discarded) == 1  # by the completion, which keeps the blob
    elsewhere.deployment.hashing.close()


async def test_an_upload_that_is_being_completed_is_not_expired(postgresql_world: World) -> None:
    world = postgresql_world
    session = await world.append("app", await world.begin("app"), b"first")
    world.now += EXPIRY

    async with holding_change(world, lambda held: held.complete("app", session, digest_of(b"first"))):
        await world.run(expire_uploads)
    await world.run(expire_uploads)

    assert await world.has_blob("app", digest_of(b"first"))
    assert await world.count(tables.discarded) == 1  # by the completion, which keeps the blob


async def test_an_upload_that_is_being_expired_is_not_completed(postgresql_world: World) -> None:
    world = postgresql_world
    session = await world.append("app", await world.begin("app"), b"first")
    world.now += EXPIRY

    async with holding(world.database, expiring.close_expired, now=world.now) as held:
        completing = asyncio.create_task(world.complete("app", session, digest_of(b"first")))
        await held.until_somebody_waits()

    with pytest.raises(UploadNotFound):
        await completing
    assert await world.count(tables.blob) == 0


async def test_a_part_that_comes_while_its_upload_is_being_expired_is_refused_and_leaves_nothing(postgresql_world: World) -> None:
    world = postgresql_world
    session = await world.begin("app")
    world.now += EXPIRY

    async with holding(world.database, expiring.close_expired, now=world.now) as held:
        appending = asyncio.create_task(world.append("app", session, b"first"))
        await held.until_somebody_waits()

    with pytest.raises(InvalidLayerPart):
        await appending
    assert await world.locations() == set()


async def test_a_part_that_is_being_added_keeps_its_upload(postgresql_world: World) -> None:
    world = postgresql_world
    session = await world.begin("app")
    world.now += EXPIRY

    async with holding_change(world, lambda held: held.append("app", session, b"first")):
        await world.run(expire_uploads)
    await world.run(expire_uploads)

    assert await world.count(tables.upload) == await world.count(tables.upload_segment) == 1
