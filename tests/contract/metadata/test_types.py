"""Values come back as they went in, and compare alike on both engines."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import StatementError

from ecru.metadata.database import Database, Transaction, open_database
from tests.contract.metadata.notes import NOW, add, metadata, names, note
from tests.servers import PostgresqlServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(empty_database: Database) -> Database:
    await empty_database.write(metadata.create_all)
    return empty_database


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        NOW.replace(microsecond=0),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 7, 1, 1, 15, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
    ids=str,
)
async def test_a_moment_comes_back_the_same_and_in_utc(database: Database, moment: datetime) -> None:
    await database.write(add, "dated", written_at=moment)

    found = await database.read(lambda db: db.execute(select(note.c.written_at)).scalar_one())
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC


async def test_no_moment_comes_back_as_none(database: Database) -> None:
    await database.write(add, "undated", written_at=None)

    assert await database.read(lambda db: db.execute(select(note.c.written_at)).scalar_one()) is None


async def test_a_datetime_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="names no moment"):
        await database.write(add, "vague", written_at=NOW.replace(tzinfo=None))


async def test_moments_compare_as_moments_whatever_their_zone(database: Database) -> None:
    """Two hours east of Greenwich it is later on the clock and earlier in time."""
    east = timezone(timedelta(hours=2))
    await database.write(add, "before", written_at=NOW - timedelta(microseconds=1))
    await database.write(add, "after", written_at=NOW + timedelta(hours=1))

    def until(db: Transaction, moment: datetime) -> list[str]:
        return list(db.execute(select(note.c.name).where(note.c.written_at <= moment)).scalars())

    assert await database.read(until, NOW.astimezone(east)) == ["before"]
    assert await database.read(lambda db: db.execute(select(func.max(note.c.written_at))).scalar()) == NOW + timedelta(hours=1)


async def test_names_are_in_the_order_of_their_bytes(database: Database) -> None:
    await _hold_to_the_order_of_bytes(database)


@pytest.fixture
async def database_in_english(postgresql_server: PostgresqlServer) -> AsyncIterator[Database]:
    """A PostgreSQL whose own order of text is that of a dictionary, as administrators make them."""
    name = "in_english"
    postgresql_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    database = open_database(postgresql_server.url(name))
    await database.write(metadata.create_all)
    yield database
    await database.close()
    postgresql_server.execute(f"DROP DATABASE {name}")


async def test_names_are_in_the_order_of_their_bytes_whatever_the_locale(database_in_english: Database) -> None:
    await _hold_to_the_order_of_bytes(database_in_english)


async def _hold_to_the_order_of_bytes(database: Database) -> None:
    every = ["b", "a.b", "A", "a", "a-b", "a_b", "a/b", "aB", "ab", "Z", "ä", "\uffee", "\U0001f600", "1", "10", "9"]
    for name in every:
        await database.write(add, name)

    in_order = sorted(every, key=str.encode)
    assert await database.read(names) == in_order
    for position, name in enumerate(in_order):
        assert await database.read(_names_after, name) == in_order[position + 1 :]


def _names_after(db: Transaction, name: str) -> list[str]:
    return list(db.execute(select(note.c.name).where(note.c.name > name).order_by(note.c.name)).scalars())


async def test_integers_have_64_bits_and_keys_number_themselves(database: Database) -> None:
    largest = 2**63 - 1
    first = await database.write(add, "first", size_bytes=largest)
    second = await database.write(add, "second")
    await database.write(add, "given", id=2**40)

    assert second == first + 1
    assert await database.read(lambda db: db.execute(select(note.c.size_bytes).where(note.c.id == first)).scalar()) == largest
    assert await database.read(lambda db: db.execute(select(note.c.name).where(note.c.id == 2**40)).scalar()) == "given"
