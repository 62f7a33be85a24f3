"""What both engines promise, whoever asks."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest
from sqlalchemy import Integer, literal, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from ecru.metadata.database import Database, DatabaseUnavailable, Transaction, open_database, upsert, upsert_selected
from tests.contract.metadata.notes import NOW, add, count, metadata, names, note

pytestmark = pytest.mark.anyio


class Refused(Exception):
    """What an operation says when its rules forbid it."""


@pytest.fixture
async def database(empty_database: Database) -> Database:
    await empty_database.write(metadata.create_all)
    return empty_database


async def test_a_write_is_seen_by_every_connection_once_it_returns(database: Database, database_url: str) -> None:
    other = open_database(database_url)
    try:
        key = await database.write(add, "first")

        assert await other.read(names) == ["first"]
        assert await database.read(names) == ["first"]
        assert await database.read(lambda db: db.execute(select(note.c.id)).scalar()) == key
    finally:
        await other.close()


async def test_what_the_function_raises_comes_out_and_rolls_back_its_own_write_alone(database: Database) -> None:
    def add_and_refuse(db: Transaction, name: str) -> None:
        add(db, name)
        raise Refused(name)

    writes = [database.write(add_and_refuse if number % 3 == 0 else add, f"{number:02}") for number in range(30)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert [isinstance(outcome, Refused) for outcome in outcomes] == [number % 3 == 0 for number in range(30)]
    assert await database.read(names) == [f"{number:02}" for number in range(30) if number % 3]


async def test_a_violated_foreign_key_surfaces_and_leaves_nothing(database: Database) -> None:
    def add_two(db: Transaction) -> None:
        add(db, "good")
        add(db, "astray", answers=12345)

    with pytest.raises(IntegrityError):
        await database.write(add_two)

    assert await database.read(count) == 0


async def test_an_integrity_error_leaves_the_database_usable(database: Database) -> None:
    await database.write(add, "taken")
    with pytest.raises(IntegrityError):
        await database.write(add, "taken")

    await database.write(add, "free")

    assert await database.read(names) == ["free", "taken"]


@pytest.mark.parametrize("kind", ["read", "read_snapshot", "read_long"])
async def test_a_reading_connection_cannot_write(database: Database, kind: str) -> None:
    read: Callable[..., Awaitable[object]] = getattr(database, kind)
    with pytest.raises(DBAPIError):
        await read(add, "smuggled")

    assert await read(count) == 0


@pytest.mark.parametrize("kind", ["read_snapshot", "read_long"])
async def test_a_snapshot_sees_one_moment(database: Database, database_url: str, kind: str) -> None:
    async def add_from_elsewhere() -> None:
        other = open_database(database_url)
        await other.write(add, "meanwhile")
        await other.close()

    def look_twice(db: Transaction) -> tuple[int, int]:
        before = count(db)
        elsewhere = threading.Thread(target=asyncio.run, args=[add_from_elsewhere()])
        elsewhere.start()
        elsewhere.join()
        return before, count(db)

    read: Callable[..., Awaitable[object]] = getattr(database, kind)
    await read(count)  # what is opened when first needed is there: the loop will stand still

    assert await read(look_twice) == (0, 0)
    assert await database.read(count) == 1


async def test_a_read_that_raised_leaves_no_snapshot_behind(database: Database) -> None:
    def look_and_refuse(db: Transaction) -> None:
        count(db)
        raise Refused

    for read in (database.read, database.read_snapshot, database.read_long):
        with pytest.raises(Refused):
            await read(look_and_refuse)
    await database.write(add, "later")

    assert await database.read(count) == 1
    assert await database.read_snapshot(count) == 1
    assert await database.read_long(count) == 1


async def test_two_hundred_writers_at_once_are_all_there(database: Database) -> None:
    keys = await asyncio.gather(*(database.write(add, f"{number:03}") for number in range(200)))

    assert len(set(keys)) == 200
    assert await database.read(names) == [f"{number:03}" for number in range(200)]
    assert database.pending_writes == 0


async def test_a_locked_row_is_changed_by_one_at_a_time(database: Database) -> None:
    """``with_for_update`` locks on PostgreSQL and says nothing on SQLite, whose writers come one after the other."""
    await database.write(add, "counter")

    def increase(db: Transaction) -> None:
        version = db.execute(select(note.c.version).where(note.c.name == "counter").with_for_update()).scalar_one()
        db.execute(update(note).where(note.c.name == "counter").values(version=version + 1))

    await asyncio.gather(*(database.write(increase) for _ in range(40)))

    assert await database.read(lambda db: db.execute(select(note.c.version)).scalar()) == 40


async def test_of_twelve_upserts_of_one_key_one_inserts_and_all_agree(database: Database) -> None:
    def claim(db: Transaction, version: int) -> tuple[bool, int]:
        inserted = upsert(db, note, {"name": "claimed", "version": version}, conflict=["name"])
        return inserted, db.execute(select(note.c.version).where(note.c.name == "claimed").with_for_update()).scalar_one()

    outcomes = await asyncio.gather(*(database.write(claim, version) for version in range(12)))

    assert [inserted for inserted, _ in outcomes].count(True) == 1
    assert len({version for _, version in outcomes}) == 1
    assert await database.read(count) == 1


async def test_an_upsert_updates_the_columns_it_names_and_no_others(database: Database) -> None:
    def put(db: Transaction, version: int, size_bytes: int) -> bool:
        values = {"name": "kept", "version": version, "size_bytes": size_bytes}
        return upsert(db, note, values, conflict=["name"], update=["size_bytes"])

    written = [await database.write(put, 1, 10), await database.write(put, 2, 20)]

    assert written == [True, True]
    assert await database.read(lambda db: db.execute(select(note.c.version, note.c.size_bytes)).all()) == [(1, 20)]


async def test_an_upsert_can_stand_on_a_partial_index(database: Database) -> None:
    def put(db: Transaction, name: str) -> bool:
        return upsert(db, note, {"name": name, "shelf": "top"}, conflict=["shelf"], where=note.c.deleted_at.is_(None))

    def bury(db: Transaction) -> None:
        db.execute(update(note).values(deleted_at=NOW))

    assert await database.write(put, "first") is True
    assert await database.write(put, "second") is False
    await database.write(bury)
    assert await database.write(put, "third") is True
    assert await database.read(names) == ["first", "third"]


async def test_rows_that_a_query_selects_are_upserted_together(database: Database) -> None:
    def copy(db: Transaction, version: int) -> None:
        named = (note.c.name + "-copy").label("name")
        rows = select(named, literal(version, Integer).label("version")).where(note.c.name.in_(["one", "two"])).order_by(note.c.id)
        upsert_selected(db, note, rows, conflict=["name"], update=["version"])

    for name in ("one", "two", "three"):
        await database.write(add, name)
    for version in (1, 2):
        await database.write(copy, version)

    assert await database.read(names) == ["one", "one-copy", "three", "two", "two-copy"]
    copies = select(note.c.version).where(note.c.name.like("%-copy"))
    assert await database.read(lambda db: list(db.execute(copies).scalars())) == [2, 2]


async def test_context_variables_reach_the_function(database: Database) -> None:
    request_id: ContextVar[str] = ContextVar("request_id", default="none")

    def look(db: Transaction) -> str:
        return request_id.get()

    async def ask(name: str) -> list[str]:
        request_id.set(name)
        return [await run(look) for run in (database.write, database.read, database.read_snapshot, database.read_long)]

    answers = await asyncio.gather(*(asyncio.create_task(ask(f"request {number}")) for number in range(5)))

    assert answers == [[f"request {number}"] * 4 for number in range(5)]


async def test_a_cancelled_write_is_whole_or_absent_and_stops_nobody(database: Database) -> None:
    def add_pair(db: Transaction, name: str) -> None:
        add(db, f"{name} one")
        add(db, f"{name} two")

    async def give_up_after(steps: int) -> None:
        task = asyncio.create_task(database.write(add_pair, f"{steps:03}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    await asyncio.gather(*(give_up_after(steps) for steps in range(60)))
    await database.write(add, "afterwards")

    found = await database.read(names)
    assert found[-1] == "afterwards"
    assert {name.removesuffix("one") + "two" for name in found if name.endswith("one")} == {
        name for name in found if name.endswith("two")
    }
    assert database.pending_writes == 0


async def test_closing_finishes_the_writes_that_were_accepted_and_refuses_later_ones(database: Database, database_url: str) -> None:
    tasks = [asyncio.create_task(database.write(add, f"{number}")) for number in range(9)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*tasks)

    with pytest.raises(DatabaseUnavailable):
        await database.write(add, "late")
    with pytest.raises(DatabaseUnavailable):
        await database.read(count)
    await database.close()

    again = open_database(database_url)
    assert await again.read(count) == 9
    await again.close()


async def test_writes_that_wait_are_counted(database: Database) -> None:
    tasks = [asyncio.create_task(database.write(add, f"{number}")) for number in range(50)]
    await asyncio.sleep(0)
    waiting = database.pending_writes
    await asyncio.gather(*tasks)

    assert 0 < waiting <= 50
    assert database.pending_writes == 0


async def test_a_database_that_answers_passes_the_check(database: Database) -> None:
    await database.check()


async def test_what_is_no_mistake_of_the_engine_is_raised_as_it_is(database: Database) -> None:
    with pytest.raises(DBAPIError):
        await database.write(lambda db: db.execute(text("SELECT nonsense FROM nowhere")))
