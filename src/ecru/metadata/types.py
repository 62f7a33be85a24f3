"""Column types that mean the same on SQLite and on PostgreSQL."""

from datetime import UTC, datetime

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override


class Utc(TypeDecorator[datetime]):
    """A moment to the microsecond: aware datetimes of any zone go in, UTC comes out.

    SQLite keeps it as text of fixed width, whose order is the order of time.
    """

    impl = sqlalchemy.DateTime
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        return dialect.type_descriptor(sqlalchemy.DateTime(timezone=_is_postgresql(dialect)))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a datetime without a time zone names no moment: {value!r}")
        return value if _is_postgresql(dialect) else value.astimezone(UTC).replace(tzinfo=None)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class BigId(TypeDecorator[int]):
    """A 64-bit integer, which numbers itself when it is the primary key.

    SQLite numbers only a column declared ``INTEGER``, and its integers have 64 bits in any case
    (https://www.sqlite.org/lang_createtable.html#rowid).
    """

    impl = sqlalchemy.BigInteger
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        return dialect.type_descriptor(sqlalchemy.BigInteger() if _is_postgresql(dialect) else sqlalchemy.Integer())


class Text(TypeDecorator[str]):
    """Text that is compared and sorted by its bytes in UTF-8, whatever the locale of the server.

    Tags are listed in lexical order (OCI distribution specification, "Listing tags"), and a page starts after the last
    name of the one before: both engines must agree on the order. A length binds PostgreSQL only.
    """

    impl = sqlalchemy.String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        collation = "C" if _is_postgresql(dialect) else None  # SQLite's own default is the order of bytes
        kind = sqlalchemy.Text if self.length is None else sqlalchemy.String
        return dialect.type_descriptor(kind(self.length, collation=collation))


def _is_postgresql(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"
