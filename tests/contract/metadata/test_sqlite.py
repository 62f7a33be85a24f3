"""What is SQLite's own: batches, the flock, a full disk, several processes."""

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from ecru.metadata.database import Database, DatabaseFull, DatabaseUnavailable, Transaction, open_database
from ecru.metadata.sqlite import SqliteDatabase
from tests.contract.metadata.notes import add, count, metadata, names, note

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ecru.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite:///{path}")
    await database.write(metadata.create_all)
    yield database
    await database.close()


class Gate:
    """A write that keeps the writer busy until it is opened, so that what comes meanwhile shares its batch."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def pass_through(self, db: Transaction) -> None:
        """Wait, as a change."""
        self.reached.set()
        assert self._opened.wait(20)

    def open(self) -> None:
        """Let the writer go on."""
        self._opened.set()


async def in_one_batch(database: Database, *changes: Callable[[Transaction], object]) -> list[object]:
    """Run changes in one transaction and answer what became of each."""
    gate = Gate()
    first = asyncio.create_task(database.write(gate.pass_through))
    await asyncio.to_thread(gate.reached.wait, 20)
    tasks = [asyncio.create_task(database.write(change)) for change in changes]
    await asyncio.sleep(0)
    assert database.pending_writes == len(changes)
    gate.open()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


def adding(name: str, **values: object) -> Callable[[Transaction], object]:
    return lambda db: add(db, name, **values)


def names_in(path: Path) -> list[str]:
    """What a stranger finds in the file."""
    with closing(sqlite3.connect(path)) as stranger:
        return [name for (name,) in stranger.execute("SELECT name FROM note ORDER BY name")]


async def test_writes_that_come_while_another_runs_are_committed_together(database: Database, path: Path) -> None:
    def look_from_outside(db: Transaction) -> list[str]:
        return names_in(path)

    outcomes = await in_one_batch(database, adding("first"), adding("second"), look_from_outside)

    assert outcomes[2] == []
    assert names_in(path) == ["first", "second"]


async def test_a_failure_leaves_its_neighbours_in_the_batch_alone(database: Database, path: Path) -> None:
    def add_and_divide(db: Transaction) -> None:
        add(db, "undone")
        raise ZeroDivisionError

    outcomes = await in_one_batch(database, adding("before"), add_and_divide, adding("after"), adding("before"))

    assert [type(outcome).__name__ for outcome in outcomes] == ["int", "ZeroDivisionError", "int", "IntegrityError"]
    assert names_in(path) == ["after", "before"]


def _limit_to_present_size(db: Transaction) -> None:
    """Let the file grow no further, which SQLite reports as it does a full disk."""
    pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
    db.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def _lift_the_limit(db: Transaction) -> None:
    db.exec_driver_sql("PRAGMA max_page_count = 1073741823")


def _add_too_much(db: Transaction) -> None:
    db.execute(note.insert().values(name="too much", content=b"." * MEGABYTE))


async def test_a_full_disk_fails_the_write_at_fault_and_loses_no_acknowledged_neighbour(database: Database, path: Path) -> None:
    """https://www.sqlite.org/lang_transaction.html: SQLITE_FULL may roll back everything, and COMMIT then succeeds."""
    await database.write(_limit_to_present_size)

    still_there: list[bool] = []

    def add_too_much_and_look(db: Transaction) -> None:
        try:
            _add_too_much(db)
        finally:
            driver = db.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            still_there.append(driver.in_transaction)

    outcomes = await in_one_batch(database, adding("before"), add_too_much_and_look, adding("after"))

    assert still_there == [False]
    assert [type(outcome) for outcome in outcomes] == [int, DatabaseFull, int]
    assert names_in(path) == ["after", "before"]

    await database.write(_lift_the_limit)
    await database.write(_add_too_much)
    assert names_in(path) == ["after", "before", "too much"]


async def test_a_full_disk_that_costs_only_a_statement_costs_only_its_write(database: Database, path: Path) -> None:
    """A statement of several rows keeps its own journal, and SQLite rolls back no more than the statement."""
    await database.write(_limit_to_present_size)

    def add_many(db: Transaction) -> None:
        db.execute(note.insert().values([{"name": f"{number}", "content": b"." * 100_000} for number in range(10)]))

    outcomes = await in_one_batch(database, adding("before"), add_many, adding("after"))

    assert [type(outcome) for outcome in outcomes] == [int, DatabaseFull, int]
    assert names_in(path) == ["after", "before"]


async def test_a_refusal_that_rested_on_a_lost_neighbour_is_decided_again(database: Database, path: Path) -> None:
    await database.write(_limit_to_present_size)

    class Taken(Exception):
        pass

    def claim(db: Transaction) -> str:
        if count(db):
            raise Taken
        add(db, "claimed")
        return "claimed"

    outcomes = await in_one_batch(database, claim, claim, _add_too_much)

    assert outcomes[0] == "claimed"
    assert [type(outcome) for outcome in outcomes[1:]] == [Taken, DatabaseFull]
    assert names_in(path) == ["claimed"]


async def test_a_change_that_ends_the_transaction_itself_is_refused(database: Database, path: Path) -> None:
    def roll_back(db: Transaction) -> None:
        db.rollback()

    outcomes = await in_one_batch(database, adding("before"), roll_back, adding("after"))

    assert [type(outcome) for outcome in outcomes] == [int, DatabaseUnavailable, int]
    assert names_in(path) == ["after", "before"]


async def test_a_commit_that_fails_is_tried_for_each_write_alone(database: Database, path: Path) -> None:
    """A deferred constraint is looked at by the commit, which cannot tell whose fault it is."""

    def add_astray(db: Transaction) -> None:
        db.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        add(db, "astray", answers=12345)

    outcomes = await in_one_batch(database, adding("before"), add_astray, adding("after"))

    assert [type(outcome) for outcome in outcomes] == [int, sqlite3.IntegrityError, int]
    assert names_in(path) == ["after", "before"]


async def test_a_write_cancelled_while_it_waits_never_runs(database: Database) -> None:
    gate = Gate()
    first = asyncio.create_task(database.write(gate.pass_through))
    await asyncio.to_thread(gate.reached.wait, 20)
    waiting = asyncio.create_task(database.write(add, "cancelled"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    gate.open()
    await first

    assert waiting.cancelled()
    assert await database.write(names) == []


async def test_a_write_cancelled_while_it_runs_is_written_though_nobody_is_told(database: Database, path: Path) -> None:
    gate = Gate()

    def wait_and_add(db: Transaction) -> None:
        gate.pass_through(db)
        add(db, "orphan")

    running = asyncio.create_task(database.write(wait_and_add))
    await asyncio.to_thread(gate.reached.wait, 20)
    running.cancel()
    await asyncio.wait([running])
    gate.open()
    await database.write(count)

    assert running.cancelled()
    assert names_in(path) == ["orphan"]


async def test_a_batch_waits_for_the_flock(database: Database, path: Path) -> None:
    """Two processes that commit and checkpoint at the same instant may lose the log; see docs/adr/0002-sqlite-writer.md."""
    with (path.parent / "ecru.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write = asyncio.create_task(database.write(add, "patient"))
        await asyncio.wait([write], timeout=0.2)
        waited = not write.done()
        fcntl.flock(lock, fcntl.LOCK_UN)
    await write

    assert waited
    assert names_in(path) == ["patient"]


async def test_closing_waits_for_the_flock(database: Database, path: Path) -> None:
    """The last to close checkpoints."""
    with (path.parent / "ecru.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        close = asyncio.create_task(database.close())
        await asyncio.wait([close], timeout=0.2)
        waited = not close.done()
        fcntl.flock(lock, fcntl.LOCK_UN)
    await close

    assert waited
    assert not path.with_name("ecru.db-wal").exists()


async def test_the_writer_syncs_every_commit_to_a_write_ahead_log_and_enforces_foreign_keys(database: Database) -> None:
    def pragmas(db: Transaction) -> list[object]:
        return [db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert await database.write(pragmas) == ["wal", 2, 1]


async def test_reads_leave_nothing_open_that_would_keep_the_log_from_being_reset(database: Database, path: Path) -> None:
    await database.write(add, "first")
    for read in (database.read, database.read_snapshot, database.read_long):
        await read(lambda db: db.execute(select(note.c.name)).first())

    with closing(sqlite3.connect(path, timeout=0)) as stranger:
        busy, _, _ = stranger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


async def test_long_reads_do_not_hold_up_the_event_loop(database: Database) -> None:
    gate = Gate()
    long = asyncio.create_task(database.read_long(gate.pass_through))
    await asyncio.to_thread(gate.reached.wait, 20)

    assert await database.read(count) == 0
    gate.open()
    await long


_WRITE_FROM_A_PROCESS = """
import asyncio, sys
from ecru.metadata.database import open_database
from tests.contract.metadata.notes import add

async def main(url, mine):
    database = open_database(url)
    async def client(number):
        for turn in range(20):
            await database.write(add, f"{mine} {number} {turn}")
    await asyncio.gather(*map(client, range(8)))
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


def _start_writing(path: Path, name: str) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[3]
    return subprocess.Popen([sys.executable, "-c", _WRITE_FROM_A_PROCESS, f"sqlite:///{path}", name], cwd=root)


async def test_processes_that_write_at_once_lose_nothing(database: Database, path: Path) -> None:
    processes = [_start_writing(path, name) for name in ("one", "two")]
    try:
        for turn in range(50):
            await database.write(add, f"mine {turn}")
        codes = [await asyncio.to_thread(process.wait) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert codes == [0, 0]
    assert await database.read(count) == 2 * 8 * 20 + 50
    with closing(sqlite3.connect(path)) as stranger:
        assert stranger.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _count_threads_after_importing(module: str) -> str:
    program = f"import {module}, threading; print(threading.active_count())"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


async def test_importing_starts_nothing_that_a_fork_would_lose() -> None:
    """The parent imports everything and then forks its workers."""
    assert await asyncio.to_thread(_count_threads_after_importing, "ecru.metadata.database") == "1\n"


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear reader, " * 100)

    with pytest.raises(DatabaseUnavailable, match=r"letter\.txt"):
        SqliteDatabase(letter)
    with pytest.raises(DatabaseUnavailable, match="nowhere"):
        SqliteDatabase(tmp_path / "nowhere" / "ecru.db")


# --- a disk that is really full -------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_loses_nothing_acknowledged_and_space_brings_the_writer_back(small_disk: Path) -> None:
    path = small_disk / "ecru.db"
    database = open_database(f"sqlite:///{path}")
    await database.write(metadata.create_all)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"." * (MEGABYTE // 2))

    acknowledged: set[str] = set()
    refused: list[BaseException] = []

    async def client(number: int) -> None:
        for turn in range(40):
            name = f"{number} {turn}"
            try:
                await database.write(add, name, content=b"." * 8000)
            except DatabaseFull as error:
                refused.append(error)
            else:
                acknowledged.add(name)

    await asyncio.gather(*(client(number) for number in range(8)))
    after_the_storm = set(await database.read(names))
    ballast.unlink()
    await database.write(add, "with space again")
    await database.close()

    assert refused
    assert acknowledged
    assert after_the_storm == acknowledged
    assert set(names_in(path)) == acknowledged | {"with space again"}
    with closing(sqlite3.connect(path)) as stranger:
        assert stranger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
