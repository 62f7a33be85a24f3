"""The core: accounts, repositories, images, blobs, uploads, jobs."""

import sqlalchemy as sa
from alembic import op

from ecru.metadata import types

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "account",
        sa.Column("id", types.Text(length=12), nullable=False),
        sa.Column("created_at", types.Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
    )
    op.create_table(
        "blob",
        sa.Column("id", types.BigId(), nullable=False),
        sa.Column("store", types.Text(length=64), nullable=False),
        sa.Column("key_id", types.Text(length=256), nullable=False),
        sa.Column("digest", types.Text(length=140), nullable=False),
        sa.Column("size_bytes", types.BigId(), nullable=False),
        sa.Column("location", types.Text(length=512), nullable=False),
        sa.Column("verified_at", types.Utc(), nullable=False, comment="when the bytes at the location were last known to be right"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_blob_identity", "blob", ["digest", "store", "key_id"], unique=True)
    op.create_table(
        "collection",
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("blob_id", types.BigId(), nullable=False),
        sa.Column("due_at", types.Utc(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "blob_id", name=op.f("pk_collection")),
    )
    op.create_index("ix_collection_due", "collection", ["due_at"], unique=False)
    op.create_table(
        "discarded",
        sa.Column("store", types.Text(length=64), nullable=False),
        sa.Column("location", types.Text(length=512), nullable=False),
        sa.Column(
            "kept",
            types.Text(length=512),
            nullable=True,
            comment="beside a prefix, the one location below it that is not discarded",
        ),
        sa.Column("due_at", types.Utc(), nullable=False),
        sa.PrimaryKeyConstraint("store", "location", name=op.f("pk_discarded")),
    )
    op.create_index("ix_discarded_due", "discarded", ["due_at"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", types.BigId(), nullable=False),
        sa.Column("kind", types.Text(length=64), nullable=False),
        sa.Column(
            "unique_key",
            types.Text(length=256),
            nullable=True,
            comment="at most one living job of its kind has it; null binds none",
        ),
        sa.Column("arguments", types.Text(), nullable=False, comment="JSON object of ids"),
        sa.Column("due_at", types.Utc(), nullable=False, comment="when it may be claimed: its time, or the end of its lease"),
        sa.Column("leased_by", types.Text(length=64), nullable=True, comment="the claim it runs under; null while it waits"),
        sa.Column("again_at", types.Utc(), nullable=True, comment="asked for once more since it was claimed"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", types.Text(), nullable=True),
        sa.Column("died_at", types.Utc(), nullable=True, comment="a dead letter since"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(
        "ix_job_due",
        "job",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("died_at IS NULL"),
        postgresql_where=sa.text("died_at IS NULL"),
    )
    op.create_index(
        "uq_job_key",
        "job",
        ["kind", "unique_key"],
        unique=True,
        sqlite_where=sa.text("died_at IS NULL"),
        postgresql_where=sa.text("died_at IS NULL"),
    )
    op.create_table(
        "server_key",
        sa.Column("id", types.Text(length=64), nullable=False, comment="fingerprint of a key that sealed something here"),
        sa.Column("created_at", types.Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_key")),
    )
    op.create_table(
        "access_key",
        sa.Column("id", types.Text(length=128), nullable=False),
        sa.Column("account_id", types.Text(length=12), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="sealed with the server key"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Utc(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_access_key_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_key")),
    )
    op.create_table(
        "account_setting",
        sa.Column("account_id", types.Text(length=12), nullable=False),
        sa.Column("region", types.Text(length=25), nullable=False),
        sa.Column("name", types.Text(length=64), nullable=False),
        sa.Column("value", types.Text(length=64), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_account_setting_account_id")),
        sa.PrimaryKeyConstraint("account_id", "region", "name", name=op.f("pk_account_setting")),
    )
    op.create_table(
        "repository",
        sa.Column("id", types.BigId(), nullable=False),
        sa.Column("account_id", types.Text(length=12), nullable=False),
        sa.Column("region", types.Text(length=25), nullable=False),
        sa.Column("name", types.Text(length=256), nullable=False),
        sa.Column("mutability", types.Text(length=32), nullable=False),
        sa.Column("exclusion_filters", types.Text(), nullable=False, comment="JSON list of wildcard filters"),
        sa.Column("scan_on_push", sa.Boolean(), nullable=False),
        sa.Column("store", types.Text(length=64), nullable=False, comment="where its blobs go: part of their identity"),
        sa.Column(
            "key_id", types.Text(length=256), nullable=False, comment="the encryption key of its blobs; empty for none of its own"
        ),
        sa.Column("images", sa.Integer(), nullable=False, comment="how many living images it has, so that none have to be counted"),
        sa.Column("created_at", types.Utc(), nullable=False),
        sa.Column("deleted_at", types.Utc(), nullable=True),
        sa.Column("deleted_by", types.Text(length=2048), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_repository_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_repository_alive",
        "repository",
        ["account_id", "region", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "image",
        sa.Column("id", types.BigId(), nullable=False),
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("digest", types.Text(length=140), nullable=False),
        sa.Column("media_type", types.Text(), nullable=False),
        sa.Column("artifact_type", types.Text(), nullable=True),
        sa.Column("config_media_type", types.Text(), nullable=True),
        sa.Column("subject_digest", types.Text(length=512), nullable=True),
        sa.Column("annotations", types.Text(), nullable=False, comment="JSON object; what a referrer's descriptor shows"),
        sa.Column(
            "size_bytes", types.BigId(), nullable=False, comment="ECR's image size: content, or the largest child of an index"
        ),
        sa.Column("pushed_at", types.Utc(), nullable=False),
        sa.Column("last_pulled_at", types.Utc(), nullable=True),
        sa.Column("status", types.Text(length=16), nullable=False),
        sa.Column("deleted_at", types.Utc(), nullable=True),
        sa.Column("deleted_by", types.Text(length=2048), nullable=True),
        sa.Column("purge_at", types.Utc(), nullable=True, comment="when a tombstone's references go"),
        sa.Column("manifest_bytes", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False, comment="last, so that lists do not read it"),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("fk_image_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_image_page",
        "image",
        ["repository_id", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_image_purge",
        "image",
        ["purge_at"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_image_subject",
        "image",
        ["repository_id", "subject_digest", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "uq_image_alive",
        "image",
        ["repository_id", "digest"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "repository_blob",
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("blob_id", types.BigId(), nullable=False),
        sa.Column("media_type", types.Text(), nullable=True, comment="as the first manifest that needed it said"),
        sa.Column("linked_at", types.Utc(), nullable=False),
        sa.Column("deleted_at", types.Utc(), nullable=True, comment="not served any more; a tombstone may still need the bytes"),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_repository_blob_blob_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("fk_repository_blob_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", "blob_id", name=op.f("pk_repository_blob")),
    )
    op.create_index("ix_repository_blob_blob", "repository_blob", ["blob_id"], unique=False)
    op.create_table(
        "resource_tag",
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("key", types.Text(length=128), nullable=False),
        sa.Column("value", types.Text(length=256), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("fk_resource_tag_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", "key", name=op.f("pk_resource_tag")),
    )
    op.create_table(
        "tag_event",
        sa.Column("id", types.BigId(), nullable=False),
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("tag", types.Text(length=128), nullable=False),
        sa.Column("digest", types.Text(length=140), nullable=True, comment="where the tag points now; null when it was removed"),
        sa.Column("previous_digest", types.Text(length=140), nullable=True),
        sa.Column("moved_at", types.Utc(), nullable=False),
        sa.Column("moved_by", types.Text(length=2048), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("fk_tag_event_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_event")),
    )
    op.create_index("ix_tag_event_tag", "tag_event", ["repository_id", "tag", "id"], unique=False)
    op.create_table(
        "upload",
        sa.Column("id", types.Text(length=36), nullable=False),
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("principal", types.Text(length=2048), nullable=False),
        sa.Column("received_bytes", types.BigId(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("started_at", types.Utc(), nullable=False),
        sa.Column("expires_at", types.Utc(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("fk_upload_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index("ix_upload_expires", "upload", ["expires_at"], unique=False)
    op.create_index("ix_upload_repository", "upload", ["repository_id"], unique=False)
    op.create_table(
        "image_blob",
        sa.Column("image_id", types.BigId(), nullable=False),
        sa.Column("blob_id", types.BigId(), nullable=False),
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_blob_image_id")),
        sa.ForeignKeyConstraint(
            ["repository_id", "blob_id"], ["repository_blob.repository_id", "repository_blob.blob_id"], name="fk_image_blob_link"
        ),
        sa.PrimaryKeyConstraint("image_id", "blob_id", name=op.f("pk_image_blob")),
    )
    op.create_index("ix_image_blob_link", "image_blob", ["repository_id", "blob_id"], unique=False)
    op.create_table(
        "image_child",
        sa.Column("image_id", types.BigId(), nullable=False),
        sa.Column("child_id", types.BigId(), nullable=False),
        sa.ForeignKeyConstraint(["child_id"], ["image.id"], name=op.f("fk_image_child_child_id")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_child_image_id")),
        sa.PrimaryKeyConstraint("image_id", "child_id", name=op.f("pk_image_child")),
    )
    op.create_index("ix_image_child_child", "image_child", ["child_id"], unique=False)
    op.create_table(
        "image_label",
        sa.Column("image_id", types.BigId(), nullable=False),
        sa.Column("source", types.Text(length=10), nullable=False, comment="annotation or label"),
        sa.Column("name", types.Text(length=256), nullable=False),
        sa.Column("value", types.Text(length=512), nullable=False),
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_label_image_id")),
        sa.PrimaryKeyConstraint("image_id", "source", "name", name=op.f("pk_image_label")),
    )
    op.create_index("ix_image_label_value", "image_label", ["name", "value", "repository_id"], unique=False)
    op.create_table(
        "tag",
        sa.Column("repository_id", types.BigId(), nullable=False),
        sa.Column("name", types.Text(length=128), nullable=False),
        sa.Column("image_id", types.BigId(), nullable=False),
        sa.Column("moved_at", types.Utc(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_tag_image_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("fk_tag_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_tag")),
    )
    op.create_index("ix_tag_image", "tag", ["image_id", "name"], unique=False)
    op.create_table(
        "upload_segment",
        sa.Column("upload_id", types.Text(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("location", types.Text(length=512), nullable=False),
        sa.Column("size_bytes", types.BigId(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_upload_segment_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_segment")),
    )
