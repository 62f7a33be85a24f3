"""Blobs: which bytes are where, and which repository may serve them.

Two rows make a blob servable: ``blob`` (one for each store, encryption key and digest) and the link ``repository_blob``.
A link that nothing needs is deleted by the collector after the grace period; ``collection`` remembers when to look.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, exists, literal, select, update

from ecru.blobs.store import Location
from ecru.metadata.database import Transaction, upsert, upsert_selected
from ecru.metadata.repositories import Repository
from ecru.metadata.tables import blob, collection, discarded, image, image_blob, repository_blob
from ecru.metadata.types import Utc
from ecru.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Blob:
    """Verified bytes in a store, as one repository sees them."""

    id: int
    digest: Digest
    size_bytes: int
    location: Location
    verified_at: datetime
    media_type: str | None = None


_BLOB_COLUMNS = (blob.c.id, blob.c.digest, blob.c.size_bytes, blob.c.location, blob.c.verified_at)
_FIND = (
    select(*_BLOB_COLUMNS, repository_blob.c.media_type)
    .join(repository_blob, repository_blob.c.blob_id == blob.c.id)
    .where(
        blob.c.digest == bindparam("digest"),
        repository_blob.c.repository_id == bindparam("repository_id"),
        repository_blob.c.deleted_at.is_(None),
    )
)


def find(db: Transaction, repository_id: int, digest: str) -> Blob | None:
    """Look up a blob that a repository may serve."""
    row = db.execute(_FIND, {"digest": digest, "repository_id": repository_id}).first()
    return None if row is None else Blob(*row)


def find_all(db: Transaction, repository_id: int, digests: Iterable[str], *, lock: bool = False) -> dict[Digest, Blob]:
    """Look up many blobs of a repository at once; what it does not have is left out.

    With ``lock`` none of them can be collected or changed before the end of the transaction; rows are locked in one order.
    """
    statement = (
        select(*_BLOB_COLUMNS, repository_blob.c.media_type)
        .join(repository_blob, repository_blob.c.blob_id == blob.c.id)
        .where(
            blob.c.digest.in_(list(digests)),
            repository_blob.c.repository_id == repository_id,
            repository_blob.c.deleted_at.is_(None),
        )
        .order_by(blob.c.id)
    )
    if lock:
        # Not a shared lock: two pushes that share a new blob would both hold it, and both go on to note the blob's media type.
        statement = statement.with_for_update(key_share=True, of=repository_blob)
    return {row[1]: Blob(*row) for row in db.execute(statement)}


def is_needed(db: Transaction, repository_id: int, blob_id: int) -> bool:
    """Tell whether a living image of the repository needs the blob."""
    needed = (
        exists()
        .select_from(image_blob.join(image, image.c.id == image_blob.c.image_id))
        .where(
            image_blob.c.repository_id == repository_id,
            image_blob.c.blob_id == blob_id,
            image.c.deleted_at.is_(None),
        )
    )
    return bool(db.execute(select(needed)).scalar())


def put(
    db: Transaction,
    repository: Repository,
    *,
    digest: Digest,
    size_bytes: int,
    location: Location,
    verified_at: datetime,
    started_at: datetime,
    reading_time: timedelta,
) -> int:
    """Record verified bytes at a location and answer the id of their blob.

    Of two copies one stays. Bytes that were verified while this upload was running are kept and ours discarded (many
    clients push one layer at once); older ones are replaced by ours, which heals them if they were corrupt. The other copy
    is deleted after ``reading_time``, when nobody reads it through a signed URL any more.
    """
    values = {
        "store": repository.store,
        "key_id": repository.key_id,
        "digest": digest,
        "size_bytes": size_bytes,
        "location": location,
        "verified_at": verified_at,
    }
    same = and_(blob.c.digest == digest, blob.c.store == repository.store, blob.c.key_id == repository.key_id)
    row = None
    while row is None:  # the collector may take the old row between the two statements
        upsert(db, blob, values, conflict=("digest", "store", "key_id"))
        # Keeps the collector away, and does not wait for a mount, which holds the key of the row and may wait for our link.
        row = db.execute(select(*_BLOB_COLUMNS).where(same).with_for_update(key_share=True)).first()
    known = Blob(*row)
    if known.location != location:
        keep_known = known.verified_at >= started_at and known.size_bytes == size_bytes
        if not keep_known:
            fresh = {"location": location, "verified_at": verified_at, "size_bytes": size_bytes}
            db.execute(update(blob).where(blob.c.id == known.id).values(**fresh))
        discard(db, repository.store, [location if keep_known else known.location], due_at=verified_at + reading_time)
    return known.id


def link(
    db: Transaction, repository_id: int, blob_id: int, *, now: datetime, due_at: datetime, media_type: str | None = None
) -> None:
    """Let a repository serve a blob; the collector looks at the link at ``due_at``, in case no image comes to need it."""
    values = {
        "repository_id": repository_id,
        "blob_id": blob_id,
        "linked_at": now,
        "deleted_at": None,
        "media_type": media_type,
    }
    # One statement: the collector may take an old link between two.
    upsert(db, repository_blob, values, conflict=("repository_id", "blob_id"), update=("linked_at", "deleted_at"))
    reconsider(db, repository_id, [blob_id], due_at=due_at)


def set_media_types(db: Transaction, repository_id: int, media_types: Mapping[int, str]) -> None:
    """Remember the media types a manifest gives its blobs; the first one stays."""
    for blob_id, media_type in media_types.items():
        db.execute(
            update(repository_blob)
            .where(
                repository_blob.c.repository_id == repository_id,
                repository_blob.c.blob_id == blob_id,
                repository_blob.c.media_type.is_(None),
            )
            .values(media_type=media_type)
        )


def hide(db: Transaction, repository_id: int, blob_id: int, *, now: datetime) -> None:
    """Serve a blob no longer; the collector takes the link when no tombstone needs it."""
    db.execute(
        update(repository_blob)
        .where(repository_blob.c.repository_id == repository_id, repository_blob.c.blob_id == blob_id)
        .values(deleted_at=now)
    )


def reconsider(db: Transaction, repository_id: int, blob_ids: Sequence[int], *, due_at: datetime) -> None:
    """Ask the collector to look at links at a time, instead of the one it had been asked for before."""
    for blob_id in sorted(blob_ids):  # rows are locked in one order
        values = {"repository_id": repository_id, "blob_id": blob_id, "due_at": due_at}
        upsert(db, collection, values, conflict=("repository_id", "blob_id"), update=("due_at",))


def reconsider_all(db: Transaction, repository_id: int, *, due_at: datetime) -> None:
    """Ask the collector to look at all links of a repository at a time; in one statement."""
    due = literal(due_at, Utc).label("due_at")
    links = select(repository_blob.c.repository_id, repository_blob.c.blob_id, due)
    links = links.where(repository_blob.c.repository_id == repository_id).order_by(repository_blob.c.blob_id)
    upsert_selected(db, collection, links, conflict=("repository_id", "blob_id"), update=("due_at",))


def discard(db: Transaction, store: str, locations: Sequence[Location], *, due_at: datetime, kept: Location | None = None) -> None:
    """Queue locations that no row points to any more; their bytes go at ``due_at``.

    ``kept`` lies below a location that is a prefix, and stays: a blob has come to point to it.
    """
    for location in locations:
        values = {"store": store, "location": location, "kept": kept, "due_at": due_at}
        upsert(db, discarded, values, conflict=("store", "location"))


def collect_links(db: Transaction, *, now: datetime, discard_at: datetime, limit: int) -> int:
    """Decide once more about links whose time has come, and delete those that nothing needs; with the last link its blob goes.

    An image that needs a blob keeps its link, a tombstone as well: the end of the last one asks again. Answers how many
    links were decided; what somebody else is working with at this moment is left for another time.

    INVARIANT: a link is deleted under three locks, and nobody is waited for while holding one: of the request to look
    (so who lets the link go after we looked asks again), of the link (so no image can come to need it), and of the blob (so it
    gets no other link). Foreign keys refuse whatever this overlooks.
    """
    statement = (
        select(collection.c.repository_id, collection.c.blob_id)
        .where(collection.c.due_at <= now)
        .order_by(collection.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due: dict[int, list[int]] = {}
    for repository_id, blob_id in db.execute(statement):
        due.setdefault(repository_id, []).append(blob_id)
    return sum(_collect_in(db, repository_id, blob_ids, discard_at) for repository_id, blob_ids in due.items())


def _collect_in(db: Transaction, repository_id: int, blob_ids: Sequence[int], discard_at: datetime) -> int:
    asked = and_(repository_blob.c.repository_id == repository_id, repository_blob.c.blob_id.in_(blob_ids))
    lock = select(repository_blob.c.blob_id).join(blob).where(asked).with_for_update(skip_locked=True)
    locked = set(db.execute(lock).scalars())
    in_use = set(db.execute(select(repository_blob.c.blob_id).where(asked)).scalars()) - locked
    need = select(image_blob.c.blob_id).where(image_blob.c.repository_id == repository_id, image_blob.c.blob_id.in_(locked))
    unneeded = locked - set(db.execute(need.distinct()).scalars())
    decided = [blob_id for blob_id in blob_ids if blob_id not in in_use]
    db.execute(delete(collection).where(collection.c.repository_id == repository_id, collection.c.blob_id.in_(decided)))
    db.execute(
        delete(repository_blob).where(repository_blob.c.repository_id == repository_id, repository_blob.c.blob_id.in_(unneeded))
    )
    has_link = exists().where(repository_blob.c.blob_id == blob.c.id)
    gone = delete(blob).where(blob.c.id.in_(unneeded), ~has_link).returning(blob.c.store, blob.c.location)
    for store, location in db.execute(gone).all():
        discard(db, store, [location], due_at=discard_at)
    return len(decided)


def list_discarded(db: Transaction, store: str, *, now: datetime, limit: int) -> dict[Location, Location | None]:
    """Locations of a store whose bytes are to go now, each with the one below it that stays."""
    statement = (
        select(discarded.c.location, discarded.c.kept)
        .where(discarded.c.store == store, discarded.c.due_at <= now)
        .order_by(discarded.c.due_at)
        .limit(limit)
    )
    return {row[0]: row[1] for row in db.execute(statement)}


def forget_discarded(db: Transaction, store: str, locations: Iterable[Location]) -> None:
    """Strike locations whose bytes are gone."""
    db.execute(delete(discarded).where(discarded.c.store == store, discarded.c.location.in_(list(locations))))


def postpone_discarded(db: Transaction, store: str, location: Location, *, due_at: datetime) -> None:
    """Let a location wait whose bytes cannot be deleted now."""
    mine = and_(discarded.c.store == store, discarded.c.location == location)
    db.execute(update(discarded).where(mine).values(due_at=due_at))
