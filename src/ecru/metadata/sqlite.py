"""SQLite: reads run where they are asked for; the writes of many requests are committed together.

How a write becomes durable::

    request ─┐                        ┌─────────────────── holding the flock ───────────────────┐
    request ─┼─► queue ─► one thread ─► BEGIN IMMEDIATE ─► SAVEPOINT, fn, RELEASE … ─► COMMIT ─► answers
    request ─┘                        └──────────────────────────────────────────(fsync)────────┘

A request's own exception rolls back to its savepoint and leaves its neighbours alone. Nobody is answered before the commit.

INVARIANT: only a transaction that is still open is committed. A full disk may roll back the whole transaction from inside
one savepoint, and a commit of nothing then succeeds (https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction).
So the transaction is looked at after each request. When it is gone, the request at fault fails, and the others, which have
not been answered yet, run again alone.

INVARIANT: whatever writes to the files holds the flock: commits with the checkpoints they start, migrations, opening, and
closing, which may checkpoint too. It also passes the turn between processes, where SQLite's own way of waiting is to sleep.
The reasons are in docs/adr/0002-sqlite-writer.md.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import Concatenate, Final, Generic, NoReturn, ParamSpec, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ecru.metadata.errors import DatabaseFull, DatabaseUnavailable

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BATCH_WRITES: Final = 256
BATCH_SECONDS: Final = 0.02
BUSY_SECONDS: Final = 10.0
LONG_READERS: Final = 2

_WRITER: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",  # without it macOS leaves the bytes in the drive's cache
    "foreign_keys = ON",
    "journal_size_limit = 67108864",  # what a burst made of the log is given back
)
_READER: Final = ("query_only = ON",)
_MIGRATION: Final = ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON", "foreign_keys = OFF")


class SqliteDatabase:
    """A database in one local file, which the processes of one machine share.

    It is used from one event loop; the threads it needs are its own.
    """

    dialect: Final = "sqlite"
    is_postgres: Final = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = False
        self._pending: queue.SimpleQueue[_Write[object] | None] = queue.SimpleQueue()
        with _exclusive(path):
            self._writer = _connect(path, _WRITER)
            self._reader = _connect(path, _READER)
            self._long_readers = [_connect(path, _READER) for _ in range(LONG_READERS)]
        self._idle_readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for reader in self._long_readers:
            self._idle_readers.put(reader)
        self._reading = ThreadPoolExecutor(LONG_READERS, thread_name_prefix="ecru-sqlite-read")
        # A daemon, so that a program that forgot to close can end: nobody was told of what is still in the queue.
        self._writing = threading.Thread(target=self._write_batches, name="ecru-sqlite-write", daemon=True)
        self._writing.start()

    @property
    def pending_writes(self) -> int:
        """How many writes wait for the writer."""
        return self._pending.qsize()

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query here and now: handing it to a thread would cost ten times as much as the query."""
        self._refuse_if_closed()
        return _in_snapshot(self._reader, lambda connection: fn(connection, *args, **kwargs))

    async def read_snapshot(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run queries that must agree; here that costs no more than a plain read, which is a snapshot too."""
        return await self.read(fn, *args, **kwargs)

    async def read_long(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run queries for hundreds of rows as one snapshot, in a thread beside the event loop."""
        self._refuse_if_closed()
        context = copy_context()

        def work() -> T:
            reader = self._idle_readers.get()
            try:
                return context.run(_in_snapshot, reader, lambda connection: fn(connection, *args, **kwargs))
            finally:
                self._idle_readers.put(reader)

        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change in the writer's next transaction; it is on disk when this returns.

        Cancelled while it waits, it never runs; cancelled while it runs, it is written though nobody is told.
        """
        self._refuse_if_closed()
        write = _Write(lambda connection: fn(connection, *args, **kwargs))
        self._pending.put(write)
        return await write.outcome()

    async def check(self) -> None:
        """Raise unless the file can be read and the writer lives."""
        await self.read(lambda connection: connection.exec_driver_sql("PRAGMA schema_version").scalar())
        if not self._writing.is_alive():
            raise DatabaseUnavailable("the thread that writes to the database has ended")

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        if not self._closed:
            self._closed = True
            self._pending.put(None)
            await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._writing.join()
        self._reading.shutdown()
        with _exclusive(self._path):
            for connection in (self._reader, *self._long_readers, self._writer):
                _disconnect(connection)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise DatabaseUnavailable("the database is closed")

    # --- in the writer's thread ---------------------------------------------------------------------------------------

    def _write_batches(self) -> None:
        while (first := self._pending.get()) is not None:
            batch = [first]
            try:
                with _exclusive(self._path):
                    self._commit(batch, growing=True)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the batch waits for an answer
                for write in batch:
                    write.fail(error)
            for write in batch:
                write.answer()

    def _commit(self, batch: list["_Write[object]"], *, growing: bool) -> None:
        """Run writes in one transaction and keep what became of each; a growing batch takes in what arrives meanwhile."""
        driver = _driver(self._writer)
        end = time.monotonic() + BATCH_SECONDS
        again: list[_Write[object]] = []
        try:
            driver.execute("BEGIN IMMEDIATE")
            for write in batch:
                self._run_in_savepoint(write)
                if growing and len(batch) < BATCH_WRITES and time.monotonic() < end:
                    batch += self._take_next()  # one at a time: the last of the batch is the one that runs
            driver.execute("COMMIT")
        except _TransactionLost:
            again = batch[:-1]
        except sqlite3.Error as error:
            batch[0].fail(error)
            again = batch if len(batch) > 1 else []
        finally:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
        for write in again:
            self._commit([write], growing=False)

    def _run_in_savepoint(self, write: "_Write[object]") -> None:
        driver = _driver(self._writer)
        driver.execute("SAVEPOINT request")
        write.run(self._writer)
        if not driver.in_transaction:
            if not write.failed:
                write.fail(DatabaseUnavailable("the transaction ended before the change did"))
            raise _TransactionLost
        if write.failed:
            driver.execute("ROLLBACK TO request")
        driver.execute("RELEASE request")

    def _take_next(self) -> list["_Write[object]"]:
        try:
            write = self._pending.get_nowait()
        except queue.Empty:
            return []
        if write is None:
            self._pending.put(None)  # for the loop, which ends after this batch
            return []
        return [write]


class _TransactionLost(Exception):
    """The running request took the whole transaction with it."""


class _Write(Generic[T_co]):
    """A change on its way through the writer, and what became of it."""

    def __init__(self, fn: Callable[[Connection], T_co]) -> None:
        self._fn = fn
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._error: BaseException | None = None
        self._value: T_co

    async def outcome(self) -> T_co:
        await self._answered
        if self._error is not None:
            _raise_meaning(self._error)
        return self._value

    @property
    def failed(self) -> bool:
        return self._error is not None

    def run(self, connection: Connection) -> None:
        """Run the change, perhaps once more, unless its caller has gone."""
        self._error = None
        if self._answered.cancelled():
            return
        try:
            self._value = self._context.run(self._fn, connection)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who waits in another thread
            self._error = error

    def fail(self, error: BaseException) -> None:
        self._error = error

    def answer(self) -> None:
        """Wake the caller."""
        with suppress(RuntimeError):  # its event loop was closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)


def migrate(path: Path, fn: Callable[[Connection], T]) -> T:
    """Run a change of the schema alone, in one transaction.

    Foreign keys are off while it runs, since SQLite changes a table by making a new one and dropping the old
    (https://www.sqlite.org/lang_altertable.html#otheralter), and are checked before the commit.
    """
    with _exclusive(path), _connected(path, _MIGRATION) as connection:
        _driver(connection).execute("BEGIN IMMEDIATE")
        # This one emits only the end; Alembic would commit for us if SQLAlchemy knew of no transaction.
        with connection.begin():
            result = fn(connection)
            astray = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if astray:
                raise DatabaseUnavailable(f"the migration was undone, since it left rows that point nowhere: {astray[:10]}")
        return result


def _in_snapshot(connection: Connection, fn: Callable[[Connection], T]) -> T:
    driver = _driver(connection)
    try:
        driver.execute("BEGIN")
        try:
            return fn(connection)
        finally:
            # A snapshot that stays open sees old rows and lets the log grow.
            if driver.in_transaction:
                driver.execute("COMMIT")
    except (DBAPIError, sqlite3.Error) as error:
        _raise_meaning(error)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the flock: one writer at a time among all threads and processes that use the database."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseUnavailable(f'the database "{path}" cannot be locked: {error}') from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)  # which ends the lock


@contextmanager
def _connected(path: Path, pragmas: Iterable[str]) -> Iterator[Connection]:
    connection = _connect(path, pragmas)
    try:
        yield connection
    finally:
        _disconnect(connection)


def _connect(path: Path, pragmas: Iterable[str]) -> Connection:
    """Open a connection on which we begin and commit ourselves.

    Neither the driver (``isolation_level``) nor SQLAlchemy, whose transaction stays open beside it and does nothing, emits
    a BEGIN of its own. Left to the driver, a SAVEPOINT would become the transaction and its RELEASE the commit.
    """

    def open_driver() -> sqlite3.Connection:
        driver = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512)
        try:
            for pragma in pragmas:
                driver.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            driver.close()
            raise
        return driver

    try:
        return create_engine("sqlite://", creator=open_driver, poolclass=StaticPool).connect()
    except (DBAPIError, sqlite3.Error) as error:
        raise DatabaseUnavailable(f'the database "{path}" cannot be opened: {error}') from error


def _disconnect(connection: Connection) -> None:
    connection.close()
    connection.engine.dispose()


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


_FULL: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_UNAVAILABLE: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
}


def _raise_meaning(error: BaseException) -> NoReturn:
    """Raise the fault of the database that an error of the driver stands for; what stands for none is raised as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # absent when the module, not SQLite, refused
        if code in _FULL:
            raise DatabaseFull("there is no space left for the database") from error
        if code & 0xFF in _UNAVAILABLE:
            raise DatabaseUnavailable(f"the database cannot be used: {cause}") from error
    raise error
