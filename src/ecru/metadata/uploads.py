"""Uploads: what has arrived of a blob, in segments.

How this works. Each request body becomes one segment: bytes at a location of their own, durable before the row that
names them. ``received_bytes`` moves on only if it still stands where the request began, so of two requests that write
at once one wins and the other's bytes are dropped. All that an upload can have written lies under a prefix made of its
id, so that what it left is found after a crash too, with or without a row.
"""

from dataclasses import astuple, dataclass, replace
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from ecru.blobs.store import Location, Stored
from ecru.metadata.database import Transaction
from ecru.metadata.tables import repository, upload, upload_segment


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload session of one repository."""

    id: str
    repository_id: int
    principal: str
    received_bytes: int
    segments: int
    started_at: datetime
    expires_at: datetime

    def advanced(self, size_bytes: int, expires_at: datetime) -> "Upload":
        """The upload after one more segment."""
        return replace(
            self,
            received_bytes=self.received_bytes + size_bytes,
            segments=self.segments + 1,
            expires_at=expires_at,
        )


_COLUMNS = (
    upload.c.id,
    upload.c.repository_id,
    upload.c.principal,
    upload.c.received_bytes,
    upload.c.segments,
    upload.c.started_at,
    upload.c.expires_at,
)


def create(db: Transaction, new: Upload) -> None:
    """Open an upload."""
    db.execute(insert(upload).values(dict(zip((column.name for column in _COLUMNS), astuple(new), strict=True))))


def find(db: Transaction, repository_id: int, upload_id: str, *, lock: bool = False) -> Upload | None:
    """Look an upload up in its repository; an expired one is there until it has been cleaned up."""
    statement = select(*_COLUMNS).where(upload.c.id == upload_id, upload.c.repository_id == repository_id)
    row = db.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Upload(*row)


def advance(db: Transaction, session: Upload, segment: Stored, *, expires_at: datetime) -> bool:
    """Add a durable segment that continues the upload where ``session`` saw it; False if it stands elsewhere by now."""
    after = session.advanced(segment.size_bytes, expires_at)
    moved = db.execute(
        update(upload)
        .where(
            upload.c.id == session.id,
            upload.c.received_bytes == session.received_bytes,
            upload.c.segments == session.segments,
        )
        .values(received_bytes=after.received_bytes, segments=after.segments, expires_at=after.expires_at)
    )
    if moved.rowcount != 1:
        return False
    db.execute(
        insert(upload_segment).values(
            upload_id=session.id,
            number=session.segments,
            location=segment.location,
            size_bytes=segment.size_bytes,
        )
    )
    return True


def list_segments(db: Transaction, upload_id: str) -> list[Stored]:
    """The segments of an upload in their order."""
    statement = (
        select(upload_segment.c.location, upload_segment.c.size_bytes)
        .where(upload_segment.c.upload_id == upload_id)
        .order_by(upload_segment.c.number)
    )
    return [Stored(Location(row[0]), row[1]) for row in db.execute(statement)]


def close(db: Transaction, upload_id: str) -> bool:
    """Delete an upload and its segments' rows; False if it was gone."""
    db.execute(delete(upload_segment).where(upload_segment.c.upload_id == upload_id))
    return db.execute(delete(upload).where(upload.c.id == upload_id)).rowcount == 1


def close_all(db: Transaction, repository_id: int) -> list[str]:
    """Delete all uploads of a repository and answer their ids."""
    mine = list(db.execute(select(upload.c.id).where(upload.c.repository_id == repository_id)).scalars())
    return [upload_id for upload_id in mine if close(db, upload_id)]


def lock_expired(db: Transaction, *, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Expired uploads as (upload id, name of the store their bytes are in), locked; those in use at this moment are left out."""
    statement = (
        select(upload.c.id, repository.c.store)
        .join(repository, repository.c.id == upload.c.repository_id)
        .where(upload.c.expires_at <= now)
        .order_by(upload.c.expires_at)
        .limit(limit)
        .with_for_update(of=upload, skip_locked=True)
    )
    return [(row[0], row[1]) for row in db.execute(statement)]


def count_open(db: Transaction) -> int:
    """How many uploads are open in the whole deployment."""
    return int(db.execute(select(func.count()).select_from(upload)).scalar_one())
