"""A table of the tests' own, with what the types and the upsert have to show, and changes of it."""

from datetime import UTC, datetime

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, func, select, text

from ecru.metadata.database import Transaction
from ecru.metadata.types import BigId, Text, Utc

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)

metadata = MetaData()
note = Table(
    "note",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text(200), nullable=False, unique=True),
    Column("written_at", Utc),
    Column("size_bytes", BigId),
    Column("version", Integer, nullable=False, default=0),
    Column("shelf", Text),
    Column("deleted_at", Utc),
    Column("content", LargeBinary),
    Column("answers", BigId, ForeignKey("note.id")),
)
Index(
    "uq_note_shelf",
    note.c.shelf,
    unique=True,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)


def add(db: Transaction, name: str, /, **values: object) -> int:
    """Add a note and answer its id."""
    key: int = db.execute(note.insert().values(name=name, **values).returning(note.c.id)).scalar_one()
    return key


def names(db: Transaction) -> list[str]:
    """All names, in the database's order."""
    return list(db.execute(select(note.c.name).order_by(note.c.name)).scalars())


def count(db: Transaction) -> int:
    """How many notes there are."""
    return db.execute(select(func.count()).select_from(note)).scalar_one()
