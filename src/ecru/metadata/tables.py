"""The tables: truth is rows, blobs are bytes that rows point to.

::

    account ─ access_key, account_setting
    repository ─┬─ resource_tag
                ├─ image ─┬─ tag, image_label
                │         ├─ image_child ──► image          what an index lists
                │         └─ image_blob ───► repository_blob  what a manifest needs
                ├─ repository_blob ───► blob ───► a location in a store
                ├─ tag_event                                every move of a tag, kept for good
                └─ upload ─ upload_segment ───► a location in a store
    collection   links that may have lost their last reference
    discarded    locations whose bytes are to go
    job          the queue

Order of writes: bytes first, then the row that points to them; deletion the other way round, after a grace period.

INVARIANT: a blob row points to durable, complete, verified bytes; a live image's blobs and children are linked rows, which
the foreign keys hold on both engines.

``deleted_at`` marks a tombstone. What is unique is unique among the living: a repository or image that is made again
starts clean beside its tombstones.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from ecru.metadata.types import BigId, Text, Utc

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

_ALIVE = text("deleted_at IS NULL")
_DEAD = text("deleted_at IS NOT NULL")


def _index(name: str, *columns: Column[object] | str, where: object = None, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


account = Table(
    "account",
    metadata,
    Column("id", Text(12), primary_key=True),
    Column("created_at", Utc, nullable=False),
)

access_key = Table(
    "access_key",
    metadata,
    Column("id", Text(128), primary_key=True),
    Column("account_id", Text(12), ForeignKey("account.id"), nullable=False),
    Column("secret", LargeBinary, nullable=False, comment="sealed with the server key"),
    Column("active", Boolean, nullable=False),
    Column("created_at", Utc, nullable=False),
)

server_key = Table(
    "server_key",
    metadata,
    Column("id", Text(64), primary_key=True, comment="fingerprint of a key that sealed something here"),
    Column("created_at", Utc, nullable=False),
)

account_setting = Table(
    "account_setting",
    metadata,
    Column("account_id", Text(12), ForeignKey("account.id"), primary_key=True),
    Column("region", Text(25), primary_key=True),
    Column("name", Text(64), primary_key=True),
    Column("value", Text(64), nullable=False),
)

repository = Table(
    "repository",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("account_id", Text(12), ForeignKey("account.id"), nullable=False),
    Column("region", Text(25), nullable=False),
    Column("name", Text(256), nullable=False),
    Column("mutability", Text(32), nullable=False),
    Column("exclusion_filters", Text, nullable=False, comment="JSON list of wildcard filters"),
    Column("scan_on_push", Boolean, nullable=False),
    Column("store", Text(64), nullable=False, comment="where its blobs go: part of their identity"),
    Column("key_id", Text(256), nullable=False, comment="the encryption key of its blobs; empty for none of its own"),
    Column("images", Integer, nullable=False, comment="how many living images it has, so that none have to be counted"),
    Column("created_at", Utc, nullable=False),
    Column("deleted_at", Utc),
    Column("deleted_by", Text(2048)),
    sqlite_autoincrement=True,  # an id that was deleted never comes again
)
_index(
    "uq_repository_alive",
    repository.c.account_id,
    repository.c.region,
    repository.c.name,
    where=_ALIVE,
    unique=True,
)

resource_tag = Table(
    "resource_tag",
    metadata,
    Column("repository_id", BigId, ForeignKey("repository.id"), primary_key=True),
    Column("key", Text(128), primary_key=True),
    Column("value", Text(256), nullable=False),
)

blob = Table(
    "blob",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("store", Text(64), nullable=False),
    Column("key_id", Text(256), nullable=False),
    Column("digest", Text(140), nullable=False),
    Column("size_bytes", BigId, nullable=False),
    Column("location", Text(512), nullable=False),
    Column("verified_at", Utc, nullable=False, comment="when the bytes at the location were last known to be right"),
    sqlite_autoincrement=True,  # an id that was deleted never comes again
)
_index("uq_blob_identity", blob.c.digest, blob.c.store, blob.c.key_id, unique=True)

repository_blob = Table(
    "repository_blob",
    metadata,
    Column("repository_id", BigId, ForeignKey("repository.id"), primary_key=True),
    Column("blob_id", BigId, ForeignKey("blob.id"), primary_key=True),
    Column("media_type", Text, comment="as the first manifest that needed it said"),
    Column("linked_at", Utc, nullable=False),
    Column("deleted_at", Utc, comment="not served any more; a tombstone may still need the bytes"),
)
_index("ix_repository_blob_blob", repository_blob.c.blob_id)

upload = Table(
    "upload",
    metadata,
    Column("id", Text(36), primary_key=True),
    Column("repository_id", BigId, ForeignKey("repository.id"), nullable=False),
    Column("principal", Text(2048), nullable=False),
    Column("received_bytes", BigId, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
)
_index("ix_upload_expires", upload.c.expires_at)
_index("ix_upload_repository", upload.c.repository_id)

upload_segment = Table(
    "upload_segment",
    metadata,
    Column("upload_id", Text(36), ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("location", Text(512), nullable=False),
    Column("size_bytes", BigId, nullable=False),
)

image = Table(
    "image",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("repository_id", BigId, ForeignKey("repository.id"), nullable=False),
    Column("digest", Text(140), nullable=False),
    Column("media_type", Text, nullable=False),
    Column("artifact_type", Text),
    Column("config_media_type", Text),
    Column("subject_digest", Text(512)),
    Column("annotations", Text, nullable=False, comment="JSON object; what a referrer's descriptor shows"),
    Column("size_bytes", BigId, nullable=False, comment="ECR's image size: content, or the largest child of an index"),
    Column("pushed_at", Utc, nullable=False),
    Column("last_pulled_at", Utc),
    Column("status", Text(16), nullable=False),
    Column("deleted_at", Utc),
    Column("deleted_by", Text(2048)),
    Column("purge_at", Utc, comment="when a tombstone's references go"),
    Column("manifest_bytes", Integer, nullable=False),
    Column("manifest", LargeBinary, nullable=False, comment="last, so that lists do not read it"),
    sqlite_autoincrement=True,  # an id that was deleted never comes again
)
_index("uq_image_alive", image.c.repository_id, image.c.digest, where=_ALIVE, unique=True)
_index("ix_image_page", image.c.repository_id, image.c.id, where=_ALIVE)
_index("ix_image_subject", image.c.repository_id, image.c.subject_digest, image.c.id, where=_ALIVE)
_index("ix_image_purge", image.c.purge_at, where=_DEAD)

tag = Table(
    "tag",
    metadata,
    Column("repository_id", BigId, ForeignKey("repository.id"), primary_key=True),
    Column("name", Text(128), primary_key=True),
    Column("image_id", BigId, ForeignKey("image.id"), nullable=False),
    Column("moved_at", Utc, nullable=False),
)
_index("ix_tag_image", tag.c.image_id, tag.c.name)

tag_event = Table(
    "tag_event",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("repository_id", BigId, ForeignKey("repository.id"), nullable=False),
    Column("tag", Text(128), nullable=False),
    Column("digest", Text(140), comment="where the tag points now; null when it was removed"),
    Column("previous_digest", Text(140)),
    Column("moved_at", Utc, nullable=False),
    Column("moved_by", Text(2048), nullable=False),
)
_index("ix_tag_event_tag", tag_event.c.repository_id, tag_event.c.tag, tag_event.c.id)

image_blob = Table(
    "image_blob",
    metadata,
    Column("image_id", BigId, ForeignKey("image.id"), primary_key=True),
    Column("blob_id", BigId, primary_key=True),
    Column("repository_id", BigId, nullable=False),
    ForeignKeyConstraint(
        ["repository_id", "blob_id"],
        ["repository_blob.repository_id", "repository_blob.blob_id"],
        name="fk_image_blob_link",
    ),
)
_index("ix_image_blob_link", image_blob.c.repository_id, image_blob.c.blob_id)

image_child = Table(
    "image_child",
    metadata,
    Column("image_id", BigId, ForeignKey("image.id"), primary_key=True),
    Column("child_id", BigId, ForeignKey("image.id"), primary_key=True),
)
_index("ix_image_child_child", image_child.c.child_id)

image_label = Table(
    "image_label",
    metadata,
    Column("image_id", BigId, ForeignKey("image.id"), primary_key=True),
    Column("source", Text(10), primary_key=True, comment="annotation or label"),
    Column("name", Text(256), primary_key=True),
    Column("value", Text(512), nullable=False),
    Column("repository_id", BigId, nullable=False),
)
_index("ix_image_label_value", image_label.c.name, image_label.c.value, image_label.c.repository_id)

collection = Table(
    "collection",
    metadata,
    Column("repository_id", BigId, primary_key=True),
    Column("blob_id", BigId, primary_key=True),
    Column("due_at", Utc, nullable=False),
)
_index("ix_collection_due", collection.c.due_at)

discarded = Table(
    "discarded",
    metadata,
    Column("store", Text(64), primary_key=True),
    Column("location", Text(512), primary_key=True),
    Column("kept", Text(512), comment="beside a prefix, the one location below it that is not discarded"),
    Column("due_at", Utc, nullable=False),
)
_index("ix_discarded_due", discarded.c.due_at)

job = Table(
    "job",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("kind", Text(64), nullable=False),
    Column("unique_key", Text(256), comment="at most one living job of its kind has it; null binds none"),
    Column("arguments", Text, nullable=False, comment="JSON object of ids"),
    Column("due_at", Utc, nullable=False, comment="when it may be claimed: its time, or the end of its lease"),
    Column("leased_by", Text(64), comment="the claim it runs under; null while it waits"),
    Column("again_at", Utc, comment="asked for once more since it was claimed"),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("died_at", Utc, comment="a dead letter since"),
)
_index("uq_job_key", job.c.kind, job.c.unique_key, where=text("died_at IS NULL"), unique=True)
_index("ix_job_due", job.c.due_at, where=text("died_at IS NULL"))
