"""PostgreSQL: each call takes a connection of a bounded pool, and rows are locked where a row decides.

A change that met another one is run again: on serialisation failures, deadlocks, unique violations (two inserted at once)
and on connections that turn out to be dead, which is how the restart of a server is met. A connection that dies *during* the commit
leaves open whether it happened; then the caller is told, since only they can know whether to ask again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Concatenate, Final, NoReturn, ParamSpec, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ecru.metadata.errors import DatabaseFull, DatabaseUnavailable

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS: Final = 7
CONNECT_SECONDS: Final = 10
FIRST_WAIT_SECONDS: Final = 0.02
READERS: Final = 6
WRITERS: Final = 6

# What the server ends by itself, so that neither a lost client nor a stuck query holds a lock for good; milliseconds.
_SERVER: Final = {
    "application_name": "ecru",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "60000",
    "jit": "off",  # it would cost more than our queries
    "lock_timeout": "10000",
    "statement_timeout": "30000",
    "synchronous_commit": "on",  # acknowledged is durable, whatever the server's default
}
# For the answer of a server that cannot say anything any more.
_ANSWER_SECONDS: Final = 40
_MIGRATION_LOCK: Final = int.from_bytes(b"ecru")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_AGAIN: Final = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "23505",  # unique_violation
    "53300",  # too_many_connections, while another node stops or starts
    "0A000",  # feature_not_supported, when a migration has outdated a prepared statement
}
_CONNECTION_LOST: Final = (
    "08",  # connection exceptions
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
)
_DISK_FULL: Final = "53100"
_UNAVAILABLE: Final = (
    "28",  # invalid authorization
    "3D000",  # invalid_catalog_name: there is no such database
    "53",  # insufficient resources
    "55P03",  # lock_not_available
    "57014",  # query_canceled: statement_timeout
    "58",  # system error
    "XX",  # internal error, corrupted data
)


class PostgresDatabase:
    """A database on a PostgreSQL server, which the processes of many machines share."""

    dialect: Final = "postgresql"
    is_postgres: Final = True

    def __init__(self, dsn: str) -> None:
        self._closed = False
        self._writes = 0
        self._idle = asyncio.Event()
        self._reader = _engine(dsn, READERS, default_transaction_read_only="on")
        self._autocommit = self._reader.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshot = self._reader.execution_options(isolation_level="REPEATABLE READ")
        self._writer = _engine(dsn, WRITERS)

    @property
    def pending_writes(self) -> int:
        """How many writes run or wait for a connection."""
        return self._writes

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query without a transaction around it, which would be two more journeys to the server."""
        return await self._read(self._autocommit, lambda connection: fn(connection, *args, **kwargs))

    async def read_snapshot(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run queries in one repeatable read."""
        return await self._read(self._snapshot, lambda connection: fn(connection, *args, **kwargs))

    async def read_long(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run queries in one repeatable read; the server is another process, so nobody is held up."""
        return await self.read_snapshot(fn, *args, **kwargs)

    async def _read(self, engine: AsyncEngine, fn: Callable[[Connection], T]) -> T:
        async def attempt() -> T:
            async with engine.connect() as connection:
                return await connection.run_sync(fn)

        self._refuse_if_closed()
        return await _repeat(attempt)

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change in a transaction, which reads what others have committed; cancelled, it is rolled back."""

        async def attempt() -> T:
            async with self._writer.connect() as connection:
                result = await connection.run_sync(lambda connection: fn(connection, *args, **kwargs))
                await _commit(connection)
                return result

        self._refuse_if_closed()
        self._writes += 1
        try:
            return await _repeat(attempt)
        finally:
            self._writes -= 1
            if not self._writes:
                self._idle.set()

    async def check(self) -> None:
        """Raise unless the server answers."""
        await self.read(lambda connection: connection.execute(select(1)).scalar())

    async def close(self) -> None:
        """Finish what was accepted, then leave the server."""
        self._closed = True
        while self._writes:
            self._idle.clear()
            await self._idle.wait()
        await self._reader.dispose()
        await self._writer.dispose()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise DatabaseUnavailable("the database is closed")


async def migrate(dsn: str, fn: Callable[[Connection], T]) -> T:
    """Run a change of the schema in one transaction, one at a time among all machines that start together."""

    async def attempt() -> T:
        connect = partial(asyncpg.connect, dsn, timeout=CONNECT_SECONDS)
        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            return await connection.run_sync(fn)

    return await _repeat(attempt)


def _engine(dsn: str, connections: int, **server_settings: str) -> AsyncEngine:
    # asyncpg reads the DSN as libpq would; SQLAlchemy's URLs know no "sslmode", for one.
    connect = partial(
        asyncpg.connect,
        dsn,
        timeout=CONNECT_SECONDS,
        command_timeout=_ANSWER_SECONDS,
        server_settings=_SERVER | server_settings,
    )
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
    )


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and not _lost(error):
            raise
        raise DatabaseUnavailable("the connection to the database ended during a commit, which may have been done") from error


async def _repeat(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until it succeeds or another attempt would not help."""
    for number in range(ATTEMPTS):
        try:
            return await attempt()
        except (DBAPIError, OSError, PoolTimeoutError) as error:
            if number == ATTEMPTS - 1 or not _worth_another_attempt(error):
                _raise_meaning(error)
        # At random, so that those who met do not meet again.
        await asyncio.sleep(random.uniform(0, FIRST_WAIT_SECONDS * 2**number))  # noqa: S311 - it is no secret
    raise AssertionError("unreachable")


def _worth_another_attempt(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return _sqlstate(error) in _AGAIN or _lost(error)
    return isinstance(error, OSError) and not isinstance(error, TimeoutError)


def _lost(error: DBAPIError) -> bool:
    """Whether the connection is gone; a server that shuts down says so before it hangs up."""
    return error.connection_invalidated or _sqlstate(error).startswith(_CONNECTION_LOST)


def _sqlstate(error: DBAPIError) -> str:
    """The server's code for an error, which SQLAlchemy loses of some but always keeps as the cause."""
    return getattr(error.orig and error.orig.__cause__, "sqlstate", None) or ""


def _raise_meaning(error: Exception) -> NoReturn:
    """Raise the fault of the database that an error of the driver stands for; what stands for none is raised as it is."""
    if not isinstance(error, DBAPIError):
        raise DatabaseUnavailable(f"the database does not answer: {error}") from error
    if _sqlstate(error) == _DISK_FULL:
        raise DatabaseFull("there is no space left for the database") from error
    if _lost(error) or _sqlstate(error).startswith(_UNAVAILABLE):
        raise DatabaseUnavailable(f"the database cannot be used: {error.orig}") from error
    raise error
