"""Collection: what nothing needs any more goes, while pushes and pulls go on.

::

    image deleted ─► tombstone ──purge_at──► purged ─► its links queued ──grace──► link deleted, if nothing needs it
    blob pushed, mounted or deleted ────────────────► its link queued ──┘                  │ was it the blob's last?
                                                                                           ▼
                     bytes deleted ◄──when every signed URL has ended── location discarded ◄── blob deleted

Each step works on what is due by an index, so that the cost follows the garbage, and in bounded transactions, so that it holds
nobody up. The grace period counts from the loss of the last reference: a client that was told a blob is there may take that
long to push the manifest that needs it.

INVARIANT: rows go before bytes. A location is discarded in the transaction that deletes the last row that points to it, locations
are never used again, and their bytes stay for as long as a URL signed a moment before can be used; so who has read the row may
still read the bytes. A discarded location is struck after its bytes are gone: a crash in between has them deleted once more.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecru.blobs.store import BlobStore, Location, StoreUnavailable
from ecru.jobs.declare import Retry, Work, job
from ecru.metadata import blobs, images
from ecru.metadata.database import Transaction

IMAGES: Final = 25
"""In one transaction; each has some dozen links to queue."""
LINKS: Final = 100
LOCATIONS: Final = 500
UNDELETABLE_WAIT: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


@job(
    "collect",
    every=timedelta(minutes=1),
    retry=Retry(attempts=8, first_wait=timedelta(seconds=10), longest_wait=timedelta(minutes=10)),
)
async def collect(work: Work) -> None:
    """Delete tombstones, links, blobs and bytes whose time has come.

    Each transaction decides anew whether something is due and needed by nobody, so a second run finds nothing to do.
    """
    deployment = work.deployment
    database = deployment.database

    async def purge() -> int:
        return await database.write(purge_images, now=work.now, grace=deployment.collection_grace)

    async def collect_links() -> int:
        discard_at = work.now + deployment.reading_time
        return await database.write(blobs.collect_links, now=work.now, discard_at=discard_at, limit=LINKS)

    done = {"images": await _until_done(work, purge), "links": await _until_done(work, collect_links), "locations": 0}
    for store in deployment.stores.values():

        async def delete(store: BlobStore = store) -> int:
            return await _delete_discarded(work, store)

        done["locations"] += await _until_done(work, delete)
    if any(done.values()):
        log.info("collected", **done)


async def _until_done(work: Work, step: Callable[[], Awaitable[int]]) -> int:
    """Take one step after another until one finds nothing to do; answer how much they did."""
    total = 0
    while not work.stopping and (count := await step()):
        total += count
    return total


def purge_images(db: Transaction, *, now: datetime, grace: timedelta) -> int:
    """Delete some of the tombstones whose time has ended, and queue the links they let go; answer how many."""
    count, links = images.purge(db, now=now, limit=IMAGES)
    freed: dict[int, list[int]] = {}
    for repository_id, blob_id in sorted(links):
        freed.setdefault(repository_id, []).append(blob_id)
    for repository_id, blob_ids in freed.items():
        blobs.reconsider(db, repository_id, blob_ids, due_at=now + grace)
    return count


async def _delete_discarded(work: Work, store: BlobStore) -> int:
    """Delete some of the bytes that are due, then strike their locations; answer how many."""
    database = work.deployment.database
    due = await database.read(blobs.list_discarded, store.name, now=work.now, limit=LOCATIONS)
    for location, kept in due.items():
        if _is_prefix(location):
            await _delete(work, store, [location], kept=kept)
    await _delete(work, store, [location for location in due if not _is_prefix(location)])
    await database.write(blobs.forget_discarded, store.name, due)
    return len(due)


def _is_prefix(location: Location) -> bool:
    """Whether it stands for all that an upload has written (``layout.prefix``); nothing lies at a location that ends so."""
    return location.endswith(".")


async def _delete(work: Work, store: BlobStore, locations: Sequence[Location], *, kept: Location | None = None) -> None:
    """Delete bytes; what cannot be deleted is found by halving, and waits where it does not hold up the others."""
    try:
        if len(locations) == 1 and _is_prefix(locations[0]):
            await store.clear(locations[0], keep=() if kept is None else (kept,))
        else:
            await store.delete(locations)
    except StoreUnavailable:
        if len(locations) > 1:
            await _delete(work, store, locations[: len(locations) // 2])
            await _delete(work, store, locations[len(locations) // 2 :])
            return
        due_at = work.now + UNDELETABLE_WAIT
        await work.deployment.database.write(blobs.postpone_discarded, store.name, locations[0], due_at=due_at)
        raise
