"""Uploads that were given up: closed when their time is over, and what has arrived of them deleted."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from ecru.blobs import layout
from ecru.blobs.store import Location
from ecru.jobs.declare import Retry, Work, job
from ecru.metadata import blobs, uploads
from ecru.metadata.database import Transaction
from ecru.registry.uploads import LONGEST_BODY

BATCH: Final = 100

log = structlog.get_logger(__name__)


@job(
    "expire-uploads",
    every=timedelta(minutes=1),
    retry=Retry(attempts=5, first_wait=timedelta(seconds=30), longest_wait=timedelta(minutes=10)),
)
async def expire_uploads(work: Work) -> None:
    """Close uploads whose time is over and delete what has arrived of them; a second run finds them closed.

    INVARIANT: a prefix is cleared only after a transaction of ours has closed its upload. Of completing, cancelling and
    expiring one upload exactly one succeeds, so no blob points below the prefix then, and none ever will.

    INVARIANT: the last look at a prefix comes after everything that was written below it. A request that was writing when its
    upload was closed finds no upload to add to and deletes what it has written; if it dies first, the bytes are
    found when the row in ``discarded`` falls due, ``LONGEST_BODY`` later. That what is there already goes at once serves only
    the space.
    """
    deployment = work.deployment
    while not work.stopping:
        closed = await deployment.database.write(close_expired, now=work.now)
        if not closed:
            break
        for store, prefix in closed:
            await deployment.stores[store].clear(prefix)
        log.info("uploads expired", count=len(closed))


def close_expired(db: Transaction, *, now: datetime) -> list[tuple[str, Location]]:
    """Close some of the uploads whose time is over, and answer in which store and below which prefix their bytes are."""
    closed = [
        (store, layout.prefix(upload_id))
        for upload_id, store in uploads.lock_expired(db, now=now, limit=BATCH)
        if uploads.close(db, upload_id)
    ]
    for store, prefix in closed:
        blobs.discard(db, store, [prefix], due_at=now + LONGEST_BODY)
    return closed
