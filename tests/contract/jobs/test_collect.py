"""Collection takes what nothing needs, when its time has come, and nothing else."""

from datetime import timedelta
from pathlib import Path

import pytest

from ecru.blobs.store import StoreUnavailable
from ecru.jobs import collect as collecting
from ecru.jobs.collect import collect
from ecru.metadata import tables
from ecru.oci.digest import digest_of
from ecru.oci.media_types import OCI_INDEX
from ecru.registry import blobs as registry_blobs
from tests.contract.jobs.world import GRACE, HOME, MOMENT, RETENTION, URL_LIFETIME, World
from tests.making import a_descriptor, an_index

pytestmark = pytest.mark.anyio

LATER = timedelta(days=365)
BYTES_STAY = URL_LIFETIME + timedelta(minutes=5)


async def test_a_blob_that_no_image_needs_goes_after_the_grace_period_and_not_before(world: World) -> None:
    digest = await world.push_blob("app", b"nobody's")

    world.now += GRACE - MOMENT
    await world.run(collect)
    assert await world.has_blob("app", digest)

    world.now += MOMENT
    await world.run(collect)
    assert not await world.has_blob("app", digest)
    assert await world.count(tables.blob) == 0


async def test_the_bytes_stay_until_the_last_signed_url_has_ended(world: World) -> None:
    await world.push_blob("app", b"nobody's")
    world.now += GRACE
    await world.run(collect)

    world.now += BYTES_STAY - MOMENT
    await world.run(collect)
    assert len(await world.locations()) == 1

    world.now += MOMENT
    await world.run(collect)
    assert await world.locations() == set()
    assert await world.count(tables.discarded) == 0


async def test_what_an_image_needs_stays_for_good(world: World) -> None:
    await world.push_image("app", b"config", b"layer")

    world.now += LATER
    await world.run(collect)

    assert await world.has_blob("app", digest_of(b"config"))
    assert await world.has_blob("app", digest_of(b"layer"))
    assert await world.count(tables.collection) == 0


async def test_a_tombstone_keeps_its_blobs_and_the_grace_period_begins_at_its_end(world: World) -> None:
    image = await world.push_image("app", b"config", b"layer")
    world.now += LATER
    await world.delete_image("app", image)

    world.now += RETENTION - MOMENT
    await world.run(collect)
    assert await world.count(tables.image) == 1

    world.now += MOMENT
    await world.run(collect)
    assert await world.count(tables.image) == 0
    world.now += GRACE - MOMENT
    await world.run(collect)
    assert await world.has_blob("app", digest_of(b"layer"))

    world.now += MOMENT
    await world.run(collect)
    assert await world.count(tables.blob) == 0


async def test_a_push_within_the_grace_period_keeps_what_another_image_let_go(world: World) -> None:
    image = await world.push_image("app", b"config", b"layer")
    await world.delete_image("app", image)
    world.now += RETENTION
    await world.run(collect)
    world.now += GRACE - MOMENT
    await world.push_blob("app", b"other config")
    await world.push_image("app", b"other config", b"layer")

    world.now += LATER
    await world.run(collect)

    assert await world.has_blob("app", digest_of(b"layer"))
    assert await world.count(tables.blob) == 2


async def test_a_blob_pushed_again_has_its_whole_grace_period_again(world: World) -> None:
    digest = await world.push_blob("app", b"twice")
    world.now += GRACE - MOMENT
    await world.push_blob("app", b"twice")

    world.now += GRACE - MOMENT
    await world.run(collect)
    assert await world.has_blob("app", digest)


async def test_a_blob_that_two_repositories_have_goes_from_the_one_that_does_not_need_it(world: World) -> None:
    await world.push_image("app", b"config", b"shared")
    assert await world.mount(digest_of(b"shared"), source="app", target="other")

    world.now += LATER
    await world.run(collect)
    world.now += LATER
    await world.run(collect)

    assert await world.has_blob("app", digest_of(b"shared"))
    assert not await world.has_blob("other", digest_of(b"shared"))


async def test_the_bytes_go_with_the_last_of_the_repositories_that_had_them(world: World) -> None:
    await world.push_blob("app", b"shared")
    await world.push_blob("other", b"shared")
    world.now += GRACE

    await world.run(collect)

    assert await world.count(tables.blob) == await world.count(tables.repository_blob) == 0
    world.now += BYTES_STAY
    await world.run(collect)
    assert await world.locations() == set()


async def test_a_deleted_blob_goes_when_the_tombstone_that_needs_it_does(world: World) -> None:
    image = await world.push_image("app", b"config", b"layer")
    await world.delete_image("app", image)
    await world.database.write(registry_blobs.delete, world.call, HOME, "app", digest_of(b"layer"))

    world.now += GRACE
    await world.run(collect)
    assert await world.count(tables.repository_blob) == 2

    world.now += RETENTION
    await world.run(collect)
    world.now += GRACE
    await world.run(collect)
    assert await world.count(tables.repository_blob) == 0


async def test_an_index_goes_before_the_images_it_lists(world: World) -> None:
    children = [await world.push_image("app", b"config %d" % number, b"layer") for number in range(2)]
    manifests = [a_descriptor(b"", media_type="application/vnd.oci.image.manifest.v1+json") for _ in children]
    listed = [type(each)(each.media_type, child, 1) for each, child in zip(manifests, children, strict=True)]
    index = await world.push_manifest("app", an_index(*listed), media_type=OCI_INDEX)
    await world.delete_image("app", index)
    for child in children:
        await world.delete_image("app", child)

    world.now += RETENTION
    await world.run(collect)

    assert await world.count(tables.image) == 0


async def test_a_tombstone_that_another_one_lists_does_not_hold_up_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "IMAGES", 1)
    child = await world.push_image("app", b"config", b"layer")
    lone = await world.push_image("app", b"config of a lone image", b"layer")
    listed = a_descriptor(media_type="application/vnd.oci.image.manifest.v1+json")
    index = await world.push_manifest("app", an_index(type(listed)(listed.media_type, child, 1)), media_type=OCI_INDEX)
    await world.delete_image("app", index)
    await world.delete_image("app", child)
    await world.delete_image("app", lone)
    await world.database.write(
        lambda db: db.execute(
            tables.image.update().where(tables.image.c.digest == index).values(purge_at=world.now + RETENTION + MOMENT)
        )
    )

    world.now += RETENTION
    await world.run(collect)
    assert await world.count(tables.image) == 2

    world.now += MOMENT
    await world.run(collect)
    assert await world.count(tables.image) == 0


async def test_the_old_bytes_of_a_healed_blob_go_and_the_new_ones_stay(world: World) -> None:
    await world.push_image("app", b"config", b"layer")
    before = await world.locations()
    world.now += timedelta(hours=1)
    await world.push_blob("app", b"layer")
    assert len(await world.locations()) == 3

    world.now += LATER
    await world.run(collect)

    assert len(await world.locations() & before) == 1
    assert len(await world.locations()) == 2
    assert await world.has_blob("app", digest_of(b"layer"))


async def test_a_run_goes_on_until_nothing_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IMAGES", "LINKS", "LOCATIONS"):
        monkeypatch.setattr(collecting, name, 2)
    found = [await world.push_image("app", b"config %d" % number, b"layer %d" % number) for number in range(5)]
    for image in found:
        await world.delete_image("app", image)

    for wait in (RETENTION, GRACE, BYTES_STAY):
        world.now += wait
        await world.run(collect)

    assert await world.everything(tables.image, tables.blob, tables.repository_blob, tables.collection, tables.discarded) == (
        [[], [], [], [], []],
        set(),
    )


async def test_a_second_run_changes_nothing(world: World) -> None:
    await world.push_image("app", b"config", b"layer")
    await world.push_blob("app", b"nobody's")
    world.now += GRACE
    await world.run(collect)
    state = tables.image, tables.blob, tables.repository_blob, tables.collection, tables.discarded
    first = await world.everything(*state)

    await world.run(collect)

    assert await world.everything(*state) == first


async def test_bytes_deleted_by_a_run_that_crashed_before_it_said_so_are_struck_by_the_next(world: World) -> None:
    await world.push_blob("app", b"nobody's")
    world.now += GRACE
    await world.run(collect)
    await world.store.delete(list(await world.locations()))

    world.now += BYTES_STAY
    await world.run(collect)

    assert await world.count(tables.discarded) == 0


async def test_what_cannot_be_deleted_holds_nobody_up(folder_world: World) -> None:
    world = folder_world
    contents = [b"nobody's %d" % number for number in range(9)]
    for content in contents:
        await world.push_blob("app", content)
    world.now += GRACE
    await world.run(collect)
    path = world.store.local_path(sorted(await world.locations())[3])
    assert path is not None
    _replace_by_folder(path)

    world.now += BYTES_STAY
    with pytest.raises(StoreUnavailable):
        await world.run(collect)
    await world.run(collect)
    assert await world.locations() == set()
    assert await world.count(tables.discarded) == 1

    path.rmdir()
    world.now += collecting.UNDELETABLE_WAIT
    await world.run(collect)
    assert await world.count(tables.discarded) == 0


def _replace_by_folder(path: Path) -> None:
    """Put something at a file's place that no file system deletes as a file."""
    path.unlink()
    path.mkdir()


async def test_a_worker_that_stops_begins_no_other_step(world: World) -> None:
    await world.push_blob("app", b"nobody's")
    world.now += GRACE

    await world.run(collect, stopping=True)

    assert await world.count(tables.blob) == 1
