"""Images: manifests of a repository with what they need, their tags, and every move of a tag."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, exists, func, insert, literal, null, or_, select, update

from ecru.metadata.database import Transaction, upsert
from ecru.metadata.tables import image, image_blob, image_child, image_label, repository, tag, tag_event
from ecru.metadata.types import Text, Utc
from ecru.oci.digest import Digest
from ecru.oci.names import Tag
from ecru.rules.labels import Label

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Image:
    """A living image, without its manifest's bytes."""

    id: int
    digest: Digest
    media_type: str
    artifact_type: str | None
    config_media_type: str | None
    subject_digest: str | None
    size_bytes: int
    pushed_at: datetime
    last_pulled_at: datetime | None
    status: str
    manifest_bytes: int


@dataclass(frozen=True, slots=True)
class Referrer:
    """An image as the descriptor that a list of referrers shows."""

    id: int
    digest: Digest
    media_type: str
    manifest_bytes: int
    artifact_type: str | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest, byte for byte as it was pushed."""

    image_id: int
    digest: Digest
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class NewImage:
    """What a push brings."""

    digest: Digest
    media_type: str
    artifact_type: str | None
    config_media_type: str | None
    subject_digest: str | None
    annotations: Mapping[str, str]
    labels: Sequence[Label]
    """What the index takes of its annotations and its config's labels."""
    size_bytes: int
    manifest: bytes

    def with_size(self, size_bytes: int) -> "NewImage":
        """The same with another image size: that of an index is known only when its children are."""
        return replace(self, size_bytes=size_bytes)


_COLUMNS = (
    image.c.id,
    image.c.digest,
    image.c.media_type,
    image.c.artifact_type,
    image.c.config_media_type,
    image.c.subject_digest,
    image.c.size_bytes,
    image.c.pushed_at,
    image.c.last_pulled_at,
    image.c.status,
    image.c.manifest_bytes,
)
_ALIVE = image.c.deleted_at.is_(None)

_MANIFEST_BY_DIGEST = select(image.c.id, image.c.digest, image.c.media_type, image.c.manifest).where(
    image.c.repository_id == bindparam("repository_id"), image.c.digest == bindparam("digest"), _ALIVE
)
_MANIFEST_BY_TAG = (
    select(image.c.id, image.c.digest, image.c.media_type, image.c.manifest)
    .join(tag, tag.c.image_id == image.c.id)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name == bindparam("tag"))
)


def find_manifest(
    db: Transaction, repository_id: int, *, digest: str | None = None, tag_name: str | None = None
) -> StoredManifest | None:
    """Load a manifest by digest or by tag, in one query."""
    if digest is not None:
        row = db.execute(_MANIFEST_BY_DIGEST, {"repository_id": repository_id, "digest": digest}).first()
    else:
        row = db.execute(_MANIFEST_BY_TAG, {"repository_id": repository_id, "tag": tag_name}).first()
    return None if row is None else StoredManifest(*row)


def find(db: Transaction, repository_id: int, digest: str, *, lock: bool = False) -> Image | None:
    """Look up a living image; with ``lock`` it stays as it is until the end of the transaction."""
    statement = select(*_COLUMNS).where(image.c.repository_id == repository_id, image.c.digest == digest, _ALIVE)
    row = db.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Image(*row)


def find_all(db: Transaction, repository_id: int, digests: Iterable[str], *, lock: bool = False) -> dict[Digest, Image]:
    """Look up many living images at once; what is not there is left out."""
    statement = (
        select(*_COLUMNS)
        .where(image.c.repository_id == repository_id, image.c.digest.in_(list(digests)), _ALIVE)
        .order_by(image.c.id)
    )
    found = (Image(*row) for row in db.execute(statement.with_for_update(read=True) if lock else statement))
    return {each.digest: each for each in found}


def find_tagged(db: Transaction, repository_id: int, name: str) -> Image | None:
    """Look up the image a tag points to."""
    statement = (
        select(*_COLUMNS).join(tag, tag.c.image_id == image.c.id).where(tag.c.repository_id == repository_id, tag.c.name == name)
    )
    row = db.execute(statement).first()
    return None if row is None else Image(*row)


def create(
    db: Transaction,
    repository_id: int,
    new: NewImage,
    *,
    blob_ids: Sequence[int],
    child_ids: Sequence[int],
    now: datetime,
) -> int:
    """Insert an image with what it needs; the caller has looked that all of it is there and locked it and the repository."""
    _add_to_count(db, repository_id, 1)
    image_id = db.execute(
        insert(image)
        .values(
            repository_id=repository_id,
            digest=new.digest,
            media_type=new.media_type,
            artifact_type=new.artifact_type,
            config_media_type=new.config_media_type,
            subject_digest=new.subject_digest,
            annotations=json.dumps(dict(new.annotations)),
            size_bytes=new.size_bytes,
            pushed_at=now,
            status=ACTIVE,
            manifest_bytes=len(new.manifest),
            manifest=new.manifest,
        )
        .returning(image.c.id)
    ).scalar_one()
    if blob_ids:
        needs = [{"image_id": image_id, "repository_id": repository_id, "blob_id": each} for each in blob_ids]
        db.execute(insert(image_blob), needs)
    if child_ids:
        db.execute(insert(image_child), [{"image_id": image_id, "child_id": each} for each in child_ids])
    if new.labels:
        common = {"image_id": image_id, "repository_id": repository_id}
        db.execute(insert(image_label), [common | asdict(label) for label in new.labels])
    return int(image_id)


# --- tags -----------------------------------------------------------------------------------------------------------


def claim_tag(db: Transaction, repository_id: int, name: Tag, image_id: int, *, now: datetime) -> Image | None:
    """Point a tag that does not exist yet to an image; one that exists is locked and what it points to is answered.

    None says that the tag is now ours. An absent row cannot be locked on PostgreSQL, so the insert itself decides
    between two first pushes.
    """
    while True:
        values = {"repository_id": repository_id, "name": name, "image_id": image_id, "moved_at": now}
        if upsert(db, tag, values, conflict=("repository_id", "name")):
            return None
        mine = and_(tag.c.repository_id == repository_id, tag.c.name == name)
        holder = db.execute(select(tag.c.image_id).where(mine).with_for_update()).scalar()
        if holder is not None:
            return Image(*db.execute(select(*_COLUMNS).where(image.c.id == holder)).one())


def move_tag(db: Transaction, repository_id: int, name: str, image_id: int, *, now: datetime) -> None:
    """Point an existing, locked tag to another image."""
    mine = and_(tag.c.repository_id == repository_id, tag.c.name == name)
    db.execute(update(tag).where(mine).values(image_id=image_id, moved_at=now))


def remove_tag(db: Transaction, repository_id: int, name: str) -> None:
    """Remove a tag; the image stays."""
    db.execute(delete(tag).where(tag.c.repository_id == repository_id, tag.c.name == name))


def record_move(
    db: Transaction,
    repository_id: int,
    name: str,
    *,
    digest: Digest | None,
    previous: Digest | None,
    by: str,
    now: datetime,
) -> None:
    """Keep a move of a tag for good; ``digest`` is None when the tag was removed."""
    db.execute(
        insert(tag_event).values(
            repository_id=repository_id,
            tag=name,
            digest=digest,
            previous_digest=previous,
            moved_at=now,
            moved_by=by,
        )
    )


def list_tags_of(db: Transaction, image_ids: Sequence[int]) -> dict[int, list[Tag]]:
    """The tags of images, by image; images without tags are left out."""
    if not image_ids:
        return {}
    found: dict[int, list[Tag]] = {}
    statement = select(tag.c.image_id, tag.c.name).where(tag.c.image_id.in_(image_ids)).order_by(tag.c.name)
    for image_id, name in db.execute(statement):
        found.setdefault(image_id, []).append(name)
    return found


def count_tags(db: Transaction, image_id: int) -> int:
    """How many tags an image has."""
    return int(db.execute(select(func.count()).select_from(tag).where(tag.c.image_id == image_id)).scalar_one())


_TAG_PAGE = (
    select(tag.c.name)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name > bindparam("after"))
    .order_by(tag.c.name)
    .limit(bindparam("limit"))
)


def list_tag_names(db: Transaction, repository_id: int, *, after: str, limit: int) -> list[Tag]:
    """A page of tag names in byte order, from after a name on; an empty name begins at the first."""
    return list(db.execute(_TAG_PAGE, {"repository_id": repository_id, "after": after, "limit": limit}).scalars())


# --- lists ----------------------------------------------------------------------------------------------------------


def _page(
    columns: Sequence[ColumnElement[Any]],
    repository_id: int,
    *,
    tagged: bool | None,
    statuses: Sequence[str] | None,
) -> Select[Any]:
    statement = select(*columns).where(image.c.repository_id == repository_id, _ALIVE)
    if tagged is not None:
        other = tag.alias()  # a statement that joins the tags themselves must not take it for that join
        has_tag = exists().where(other.c.image_id == image.c.id)
        statement = statement.where(has_tag if tagged else ~has_tag)
    if statuses is not None:
        statement = statement.where(image.c.status.in_(statuses))
    return statement


def list_page(
    db: Transaction,
    repository_id: int,
    *,
    tagged: bool | None,
    statuses: Sequence[str] | None,
    after: int,
    limit: int,
) -> list[Image]:
    """A page of living images in the order of their first push, from after an image's id on.

    Args:
        db: the transaction.
        repository_id: where they are.
        tagged: only those with a tag, only those without, or None for all.
        statuses: only those of these statuses, or None for all.
        after: the id of the last image of the page before; 0 for the first page.
        limit: how many at most.
    """
    statement = _page(_COLUMNS, repository_id, tagged=tagged, statuses=statuses)
    statement = statement.where(image.c.id > after).order_by(image.c.id).limit(limit)
    return [Image(*row) for row in db.execute(statement)]


def list_identifiers(
    db: Transaction,
    repository_id: int,
    *,
    tagged: bool | None,
    statuses: Sequence[str] | None,
    after: tuple[int, str],
    limit: int,
) -> list[tuple[int, Digest, Tag | None]]:
    """A page of (image id, digest, tag) triples, one for each tag and one for an image without tags."""
    statement = _page((image.c.id, image.c.digest, tag.c.name), repository_id, tagged=tagged, statuses=statuses)
    position = or_(image.c.id > after[0], and_(image.c.id == after[0], tag.c.name > after[1]))
    statement = (
        statement.select_from(image.outerjoin(tag, tag.c.image_id == image.c.id))
        .where(image.c.id >= after[0], position)
        .order_by(image.c.id, tag.c.name)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in db.execute(statement)]


def list_referrers(
    db: Transaction,
    repository_id: int,
    subject: str,
    *,
    artifact_types: Sequence[str],
    statuses: Sequence[str] | None,
    after: int,
    limit: int,
    budget_bytes: int = 3_500_000,
) -> tuple[list[Referrer], bool]:
    """A page of the images that name a subject, in the order of their push, and whether there are more.

    The subject need not exist. Annotations may be as large as a manifest, so the lengths are read before the texts.

    Args:
        db: the transaction.
        repository_id: where they are.
        subject: the digest they name.
        artifact_types: only those of one of these types; empty for all.
        statuses: only those of these statuses, or None for all.
        after: the id of the last one of the page before; 0 for the first page.
        limit: how many at most.
        budget_bytes: how many bytes of annotations at most; one referrer is given in any case.
    """
    statement = _page((image.c.id, func.length(image.c.annotations)), repository_id, tagged=None, statuses=statuses)
    statement = statement.where(image.c.subject_digest == subject, image.c.id > after)
    if artifact_types:
        statement = statement.where(image.c.artifact_type.in_(artifact_types))
    found = db.execute(statement.order_by(image.c.id).limit(limit + 1)).all()
    chosen: list[int] = []
    for image_id, annotation_bytes in found[:limit]:
        budget_bytes -= annotation_bytes
        if budget_bytes < 0 and chosen:
            break
        chosen.append(image_id)
    columns = (
        image.c.id,
        image.c.digest,
        image.c.media_type,
        image.c.manifest_bytes,
        image.c.artifact_type,
        image.c.annotations,
    )
    rows = db.execute(select(*columns).where(image.c.id.in_(chosen)).order_by(image.c.id))
    page = [Referrer(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]
    return page, len(chosen) < len(found)


# --- deletion -------------------------------------------------------------------------------------------------------


def list_parents(db: Transaction, image_id: int) -> list[Digest]:
    """The digests of the living indexes that list an image."""
    statement = (
        select(image.c.digest)
        .join(image_child, image_child.c.image_id == image.c.id)
        .where(image_child.c.child_id == image_id, _ALIVE)
        .order_by(image.c.id)
    )
    return list(db.execute(statement).scalars())


def bury(db: Transaction, repository_id: int, image_id: int, *, by: str, now: datetime, purge_at: datetime) -> None:
    """Make an image a tombstone; its tags must be gone. What it needs stays until ``purge_at``."""
    _add_to_count(db, repository_id, -1)
    db.execute(delete(image_label).where(image_label.c.image_id == image_id))
    db.execute(update(image).where(image.c.id == image_id).values(deleted_at=now, deleted_by=by, purge_at=purge_at))


def bury_all(db: Transaction, repository_id: int, *, by: str, now: datetime, purge_at: datetime) -> None:
    """Make every image of a repository a tombstone and remove its tags, keeping their moves; in a few statements."""
    mine = and_(image.c.repository_id == repository_id, _ALIVE)
    removed = (
        select(tag.c.repository_id, tag.c.name, null(), image.c.digest, literal(now, Utc), literal(by, Text))
        .join(image, image.c.id == tag.c.image_id)
        .where(tag.c.repository_id == repository_id)
    )
    columns = ["repository_id", "tag", "digest", "previous_digest", "moved_at", "moved_by"]
    db.execute(insert(tag_event).from_select(columns, removed))
    db.execute(delete(tag).where(tag.c.repository_id == repository_id))
    db.execute(delete(image_label).where(image_label.c.image_id.in_(select(image.c.id).where(mine))))
    db.execute(update(image).where(mine).values(deleted_at=now, deleted_by=by, purge_at=purge_at))
    db.execute(update(repository).where(repository.c.id == repository_id).values(images=0))


def _add_to_count(db: Transaction, repository_id: int, number: int) -> None:
    """Keep the number of living images of a repository, which must be locked for change."""
    db.execute(update(repository).where(repository.c.id == repository_id).values(images=repository.c.images + number))


def purge(db: Transaction, *, now: datetime, limit: int) -> tuple[int, set[tuple[int, int]]]:
    """Delete tombstones whose time has ended, with their references; answer how many, and the links (repository, blob) let go.

    What another tombstone lists as its child stays until that one is purged.
    """
    is_child = exists().where(image_child.c.child_id == image.c.id)
    statement = (
        select(image.c.id)
        .where(image.c.deleted_at.is_not(None), image.c.purge_at <= now, ~is_child)
        .order_by(image.c.purge_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    image_ids = list(db.execute(statement).scalars())
    freed = select(image_blob.c.repository_id, image_blob.c.blob_id).where(image_blob.c.image_id.in_(image_ids)).distinct()
    links = {(row[0], row[1]) for row in db.execute(freed)}
    db.execute(delete(image_blob).where(image_blob.c.image_id.in_(image_ids)))
    db.execute(delete(image_child).where(image_child.c.image_id.in_(image_ids)))
    db.execute(delete(image).where(image.c.id.in_(image_ids)))
    return len(image_ids), links


def record_pulls(db: Transaction, pulled: Mapping[int, datetime]) -> None:
    """Set the time of the last pull of images; a later one that is there already stays."""
    for image_id, at in sorted(pulled.items()):  # rows are locked in one order
        earlier = or_(image.c.last_pulled_at.is_(None), image.c.last_pulled_at < at)
        db.execute(update(image).where(image.c.id == image_id, earlier).values(last_pulled_at=at))
