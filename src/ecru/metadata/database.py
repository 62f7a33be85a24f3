"""The database, whichever engine it is: where a query runs and what its transaction promises.

A query is a synchronous function of a ``Transaction``; ``read`` and ``write`` decide where it runs::

    repository = await database.read(repositories.find, registry, name)
    await database.write(repositories.delete, repository)

The function given to ``write`` is the whole transaction, and may run twice. So it does nothing but work on its
connection, it neither commits nor rolls back, and it does not catch errors of the database: on PostgreSQL they have ended the
transaction already.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, literal
from sqlalchemy.dialects import postgresql, sqlite

from ecru.metadata.errors import DatabaseFull, DatabaseUnavailable, SchemaTooNew, SchemaTooOld
from ecru.metadata.postgres import PostgresDatabase
from ecru.metadata.sqlite import SqliteDatabase

__all__ = [
    "Database",
    "DatabaseFull",
    "DatabaseUnavailable",
    "SchemaTooNew",
    "SchemaTooOld",
    "Transaction",
    "open_database",
    "parse_url",
    "upsert",
    "upsert_selected",
]

Transaction: TypeAlias = Connection

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """What both engines promise.

    Every call may raise ``DatabaseFull`` or ``DatabaseUnavailable``. What the function raises, a violated constraint
    included, comes out as it is and leaves nothing behind.
    """

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""

    @property
    def is_postgres(self) -> bool:
        """Whether rows are locked one by one instead of all at once."""

    @property
    def pending_writes(self) -> int:
        """How many writes have been asked for and wait."""

    async def read(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query on a connection that cannot write; several statements in it may see different moments."""

    async def read_snapshot(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run queries that all see the same moment, on a connection that cannot write."""

    async def read_long(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``read_snapshot``, for answers of hundreds of rows, which would hold up everybody else's."""

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change in a transaction, again if another one was in its way; it is durable when this returns."""

    async def check(self) -> None:
        """Raise ``DatabaseUnavailable`` unless the database answers."""

    async def close(self) -> None:
        """Finish the writes that were accepted, then disconnect; what comes later is refused."""


def open_database(url: str) -> Database:
    """Open the database a URL names, in each process after it was forked.

    Raises:
        ValueError: the URL is not understood.
        DatabaseUnavailable: the file cannot be opened; whether a server answers is seen at the first query.
    """
    match parse_url(url):
        case Path() as path:
            return SqliteDatabase(path)
        case dsn:
            return PostgresDatabase(dsn)


def parse_url(url: str) -> Path | str:
    """Turn the URL of a database into the path of SQLite's file or the DSN of a PostgreSQL server.

    ``sqlite:///relative.db`` and ``sqlite:////absolute.db`` as SQLAlchemy writes them; ``postgresql://…`` as libpq does, with its
    parameters (``?sslmode=verify-full``), and with SQLAlchemy's name of our driver allowed for those used to it.
    """
    scheme, _, rest = url.partition("://")
    if scheme in {"postgresql", "postgres", "postgresql+asyncpg"}:
        return f"postgresql://{rest}"
    # An in-memory database would be another one in each process.
    if scheme == "sqlite" and rest.startswith("/") and "?" not in rest and rest not in {"/", "/:memory:"}:
        return Path(rest.removeprefix("/"))
    raise ValueError(f'"{scheme}://…" is no database: use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME')


def upsert(
    db: Transaction,
    table: Table,
    values: Mapping[str, object],
    *,
    conflict: Sequence[str],
    where: ColumnElement[bool] | None = None,
    update: Sequence[str] = (),
) -> bool:
    """Insert a row, or update the one that is there already; True when a row was written.

    An absent row cannot be locked, so this is how two transactions agree on who makes it: the later one waits for the
    end of the first.

    Args:
        db: the transaction.
        table: where.
        values: the row by names of columns.
        conflict: the columns of the unique index that decides whether the row is there.
        where: the condition of that index, if it is a partial one.
        update: the columns that an existing row takes from ``values``; without any it stays, and the answer is False.
    """
    statement = _insert(db, table).values(dict(values))
    if update:
        taken = {name: statement.excluded[name] for name in update}
        statement = statement.on_conflict_do_update(index_elements=conflict, index_where=where, set_=taken)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=conflict, index_where=where)
    return db.execute(statement.returning(literal(1))).first() is not None


def upsert_selected(db: Transaction, table: Table, rows: Select[Any], *, conflict: Sequence[str], update: Sequence[str]) -> None:
    """Insert the rows that a query selects, or update those that are there already, in one statement.

    Args:
        db: the transaction.
        table: where.
        rows: values labelled by columns, in the order in which rows are locked; with a condition, since SQLite would read the
            conflict's ON as that of a join (https://www.sqlite.org/lang_upsert.html#parsing_ambiguity).
        conflict: the columns of the unique index that decides whether a row is there.
        update: the columns that an existing row takes.
    """
    statement = _insert(db, table).from_select([column.name for column in rows.selected_columns], rows)
    taken = {name: statement.excluded[name] for name in update}
    db.execute(statement.on_conflict_do_update(index_elements=conflict, set_=taken))


def _insert(db: Transaction, table: Table) -> postgresql.Insert | sqlite.Insert:
    return (postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert)(table)
