"""The collector beside those who come to need what it is about to delete, in both orders.

On PostgreSQL, where transactions are open side by side; what runs one after the other is in ``test_collect.py``.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import text

from ecru.errors import LayersNotFound
from ecru.jobs.collect import collect, purge_images
from ecru.metadata import blobs, tables
from ecru.metadata.database import Transaction
from ecru.oci.digest import Digest, digest_of
from tests.contract.holding import holding
from tests.contract.jobs.world import GRACE, RETENTION, World, holding_change
from tests.making import a_manifest

pytestmark = pytest.mark.anyio

LAYER = b"layer"
DIGEST = digest_of(LAYER)


@pytest.fixture
def world(postgresql_world: World) -> World:
    return postgresql_world


def collect_links(db: Transaction, world: World) -> int:
    return blobs.collect_links(db, now=world.now, discard_at=world.now + timedelta(days=1), limit=100)


async def push(world: World) -> None:
    """Push an image that is the layer alone."""
    await world.push_manifest("app", a_manifest(config=LAYER, layers=[]))


async def mount(world: World) -> bool:
    return await world.mount(DIGEST, source="app", target="other")


async def deadlocks(world: World) -> int:
    def count(db: Transaction) -> int:
        db.execute(text("SELECT pg_stat_clear_snapshot()"))
        return int(db.execute(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")).scalar_one())

    return await world.database.read(count)


async def test_a_push_that_comes_before_the_collector_keeps_its_blob(world: World) -> None:
    await world.push_blob("app", LAYER)
    world.now += GRACE

    async with holding_change(world, push):
        assert await world.database.write(collect_links, world) == 0
    await world.run(collect)

    assert await world.has_blob("app", DIGEST)
    assert await world.count(tables.collection) == 0


async def test_a_push_that_comes_after_the_collector_is_told_to_bring_the_blob(world: World) -> None:
    await world.push_blob("app", LAYER)
    world.now += GRACE

    async with holding(world.database, collect_links, world) as held:
        pushing = asyncio.create_task(push(world))
        await held.until_somebody_waits()
    with pytest.raises(LayersNotFound):
        await pushing

    await world.push_blob("app", LAYER)
    await push(world)
    assert await world.has_blob("app", DIGEST)


async def test_a_push_waits_for_a_collector_that_finds_its_blob_needed_and_then_succeeds(world: World) -> None:
    await world.push_image("app", LAYER)
    world.now += GRACE

    async with holding(world.database, collect_links, world) as held:
        assert held.result == 1
        pushing = asyncio.create_task(world.push_manifest("app", a_manifest(config=LAYER, layers=[LAYER])))
        await held.until_somebody_waits()
    await pushing

    assert await world.has_blob("app", DIGEST)


async def test_a_mount_that_comes_before_the_collector_keeps_the_blob(world: World) -> None:
    await world.push_blob("app", LAYER)
    world.now += GRACE

    async with holding_change(world, mount):
        assert await world.database.write(collect_links, world) == 0
    await world.run(collect)

    assert await world.has_blob("other", DIGEST)
    assert not await world.has_blob("app", DIGEST)


async def test_a_mount_that_comes_after_the_collector_becomes_an_upload(world: World) -> None:
    await world.push_blob("app", LAYER)
    world.now += GRACE

    async with holding(world.database, collect_links, world) as held:
        mounting = asyncio.create_task(mount(world))
        await held.until_somebody_waits()

    assert not await mounting
    await world.push_blob("other", LAYER)
    assert await world.has_blob("other", DIGEST)


async def test_a_mount_over_a_link_that_is_being_collected_makes_it_again(world: World) -> None:
    await world.push_image("app", LAYER)
    await world.mount(DIGEST, source="app", target="other")
    await world.database.write(
        lambda db: db.execute(tables.collection.delete().where(tables.collection.c.repository_id == world.repository_ids["app"]))
    )
    world.now += GRACE

    async with holding(world.database, collect_links, world) as held:
        assert held.result == 1
        mounting = asyncio.create_task(mount(world))
        await held.until_somebody_waits()

    assert await mounting
    assert await world.has_blob("other", DIGEST)


@pytest.mark.parametrize("name", ["app", "other"])
async def test_an_upload_of_a_blob_that_is_being_collected_brings_it_back(world: World, name: str) -> None:
    await world.push_blob("app", LAYER)
    session = await world.begin(name)
    world.now += GRACE

    async with holding(world.database, collect_links, world) as held:
        assert held.result == 1
        committing = asyncio.create_task(world.complete(name, session, DIGEST, LAYER))
        await held.until_somebody_waits()
    await committing

    world.now += timedelta(hours=1)
    await world.run(collect)
    assert await world.has_blob(name, DIGEST)


@pytest.mark.parametrize("name", ["app", "other"])
async def test_an_upload_that_comes_before_the_collector_keeps_its_blob(world: World, name: str) -> None:
    await world.push_blob("app", LAYER)
    session = await world.begin(name)
    world.now += GRACE

    async with holding_change(world, lambda held: held.complete(name, session, DIGEST, LAYER)):
        assert await world.database.write(collect_links, world) == 0
    await world.run(collect)

    assert await world.has_blob(name, DIGEST)


async def test_a_link_let_go_while_the_collector_looked_is_looked_at_again(world: World) -> None:
    image = await world.push_image("app", LAYER)
    await world.delete_image("app", image)
    world.now += RETENTION

    async with holding(world.database, purge_images, now=world.now, grace=GRACE):
        assert await world.database.write(collect_links, world) == 0
    assert await world.has_blob("app", DIGEST)

    world.now += GRACE
    await world.run(collect)
    assert await world.count(tables.blob) == 0


async def test_a_link_let_go_before_the_collector_has_ended_is_looked_at_again(world: World) -> None:
    image = await world.push_image("app", LAYER)
    await world.delete_image("app", image)
    world.now += RETENTION

    async with holding(world.database, collect_links, world) as held:
        assert held.result == 1
        purging = asyncio.create_task(world.database.write(purge_images, now=world.now, grace=GRACE))
        await held.until_somebody_waits()
    assert await purging == 1

    world.now += GRACE
    await world.run(collect)
    assert await world.count(tables.blob) == 0


async def test_two_collectors_do_not_wait_for_each_other_and_leave_nothing(world: World) -> None:
    await world.push_blob("app", LAYER)
    await world.push_blob("other", LAYER)
    world.now += GRACE

    async with holding(world.database, collect_links, world) as held:
        assert held.result == 2
        assert await world.database.write(collect_links, world) == 0
    await world.run(collect)

    assert await world.count(tables.blob) == await world.count(tables.repository_blob) == 0


async def test_a_mount_waits_for_no_upload_of_the_same_blob(world: World) -> None:
    await world.push_blob("app", LAYER)
    session = await world.begin("app")

    async with holding(world.database, _lock_the_link, world, DIGEST) as held:
        committing = asyncio.create_task(world.complete("app", session, DIGEST, LAYER))
        await held.until_somebody_waits()
        # The upload has the blob and waits for the link, as it would for a mount; the mount's own link needs the blob's key.
        other = world.repository_ids["other"]
        due_at = world.now + GRACE
        blob_id = held.result
        await world.database.write(blobs.link, other, blob_id, now=world.now, due_at=due_at)
    await committing

    assert await deadlocks(world) == 0


def _lock_the_link(db: Transaction, world: World, digest: Digest) -> int:
    return blobs.find_all(db, world.repository_ids["app"], [digest], lock=True)[digest].id


async def test_pushes_that_share_new_blobs_meet_in_no_deadlock(world: World) -> None:
    layers = [b"shared %d" % number for number in range(4)]
    for content in (*layers, b"one", b"two", b"three", b"four"):
        await world.push_blob("app", content)

    manifests = [
        a_manifest(config=config, layers=ordered)
        for config, ordered in zip((b"one", b"two", b"three", b"four"), (layers, layers[::-1]) * 2, strict=True)
    ]
    await asyncio.gather(*(world.push_manifest("app", manifest) for manifest in manifests))

    assert await deadlocks(world) == 0


CONTENTS = [b"blob %d" % number for number in range(4)]


def needs_of(number: int) -> tuple[str, bytes, bytes]:
    """The repository, config and layer of an image; each of the few blobs is in many images."""
    return ("app", "other")[number % 2], CONTENTS[number % 4], CONTENTS[(number + 1) % 4]


async def push_stubbornly(world: World, number: int) -> Digest:
    """Push an image as a client that is told to bring blobs again, until it is there."""
    name, config, layer = needs_of(number)
    while True:
        for content in (config, layer):
            if not await world.mount(digest_of(content), source="other", target=name):
                await world.push_blob(name, content)
        with suppress(LayersNotFound):
            return await world.push_manifest(name, a_manifest(config=config, layers=[layer], annotations={"n": str(number)}))


async def push_and_delete(world: World, number: int) -> None:
    await world.delete_image(needs_of(number)[0], await push_stubbornly(world, number))


async def collect_eagerly(world: World, stop: asyncio.Event) -> None:
    """Collect with a clock so far ahead that everything is due at once."""
    now = world.now + 9 * RETENTION
    while not stop.is_set():
        await world.database.write(purge_images, now=now, grace=timedelta())
        await world.database.write(blobs.collect_links, now=now, discard_at=now, limit=3)


async def test_everybody_at_once_leaves_what_is_needed_whole_and_nothing_else(world: World) -> None:
    stop = asyncio.Event()
    collecting = [asyncio.create_task(collect_eagerly(world, stop)) for _ in range(2)]
    await asyncio.gather(
        *(push_stubbornly(world, number) for number in range(8)), *(push_and_delete(world, number) for number in range(8, 24))
    )
    stop.set()
    await asyncio.gather(*collecting)
    for wait in (9 * RETENTION, GRACE, timedelta(days=1)):
        world.now += wait
        await world.run(collect)

    for name, config, layer in map(needs_of, range(8)):
        assert await world.has_blob(name, digest_of(config))
        assert await world.has_blob(name, digest_of(layer))
    assert await world.count(tables.image) == 8
    assert await world.count(tables.blob) == len(await world.locations()) == len(CONTENTS)
    assert await deadlocks(world) == 0
