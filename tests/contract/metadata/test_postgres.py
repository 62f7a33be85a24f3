"""What is PostgreSQL's own: retries, lost connections, timeouts, the pool."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from ecru.metadata import postgres
from ecru.metadata.database import Database, DatabaseFull, DatabaseUnavailable, Transaction, open_database
from tests.contract.metadata.notes import add, count, metadata, names, note
from tests.servers import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[Database]:
    database = open_database(postgresql_url)
    await database.write(metadata.create_all)
    yield database
    await database.close()


def version(db: Transaction) -> int:
    found: int = db.execute(select(note.c.version).where(note.c.name == "counter")).scalar_one()
    return found


async def test_a_serialization_failure_is_tried_again(database: Database) -> None:
    """Without a lock, and with repeatable reads, the second of two changes of a row fails with 40001."""
    await database.write(add, "counter")
    runs = 0

    def increase(db: Transaction) -> None:
        nonlocal runs
        runs += 1
        db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        db.execute(update(note).where(note.c.name == "counter").values(version=version(db) + 1))

    await asyncio.gather(*(database.write(increase) for _ in range(postgres.WRITERS)))

    assert await database.read(version) == postgres.WRITERS
    assert runs > postgres.WRITERS


async def test_a_deadlock_is_tried_again(database: Database) -> None:
    await database.write(add, "left")
    await database.write(add, "right")
    runs = 0

    def touch(db: Transaction, first: str, second: str) -> None:
        nonlocal runs
        runs += 1
        db.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
        db.execute(update(note).where(note.c.name == first).values(version=note.c.version + 1))
        db.execute(select(func.pg_sleep(0.2)))
        db.execute(update(note).where(note.c.name == second).values(version=note.c.version + 1))

    await asyncio.gather(database.write(touch, "left", "right"), database.write(touch, "right", "left"))

    assert runs > 2
    assert await database.read(lambda db: set(db.execute(select(note.c.version)).scalars())) == {2}


async def test_a_row_that_another_inserted_meanwhile_is_found_at_the_next_try(database: Database) -> None:
    def find_or_add(db: Transaction) -> int:
        found = db.execute(select(note.c.id).where(note.c.name == "wanted")).scalar()
        return add(db, "wanted") if found is None else found

    keys = await asyncio.gather(*(database.write(find_or_add) for _ in range(12)))

    assert len(set(keys)) == 1


async def test_a_violation_that_stays_surfaces_after_a_bounded_number_of_tries(database: Database) -> None:
    await database.write(add, "taken")
    runs = 0

    def add_again(db: Transaction) -> None:
        nonlocal runs
        runs += 1
        add(db, "taken")

    with pytest.raises(IntegrityError):
        await database.write(add_again)

    assert runs == postgres.ATTEMPTS


async def test_connections_that_the_server_ended_are_replaced_unseen(database: Database, postgresql_url: str) -> None:
    await asyncio.gather(*(database.write(add, f"{number}") for number in range(12)))
    await asyncio.gather(*(database.read(count) for _ in range(12)))
    administrator = open_database(postgresql_url)
    others = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    ended = await administrator.write(lambda db: db.execute(others).all())
    await administrator.close()

    assert len(ended) > 2
    assert await database.read(count) == 12
    await asyncio.gather(*(database.write(add, f"later {number}") for number in range(12)))
    assert await database.read_snapshot(count) == 24


async def test_a_connection_lost_during_the_commit_is_told_and_not_tried_again(database: Database) -> None:
    """Nobody knows whether such a commit was done; here a trigger that runs inside it ends the connection."""
    terminate = "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END"
    at_the_commit = "CONSTRAINT TRIGGER hang_up AFTER INSERT ON note DEFERRABLE INITIALLY DEFERRED"
    runs = 0

    def prepare(db: Transaction) -> None:
        db.exec_driver_sql(f"CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS $$ {terminate} $$")
        db.exec_driver_sql(f"CREATE {at_the_commit} FOR EACH ROW EXECUTE FUNCTION hang_up()")

    def add_once(db: Transaction) -> None:
        nonlocal runs
        runs += 1
        add(db, "fateful")

    await database.write(prepare)
    with pytest.raises(DatabaseUnavailable, match="during a commit"):
        await database.write(add_once)

    assert runs == 1
    assert await database.read(count) == 0


async def test_a_stuck_statement_is_ended_by_the_server(database: Database) -> None:
    def wait_too_long(db: Transaction) -> None:
        assert db.execute(text("SHOW statement_timeout")).scalar() == "30s"
        db.execute(text("SET LOCAL statement_timeout = '50ms'"))
        db.execute(select(func.pg_sleep(20)))

    with pytest.raises(DatabaseUnavailable):
        await database.write(wait_too_long)


async def test_a_full_disk_of_the_server_is_told_apart(database: Database) -> None:
    fill = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"

    with pytest.raises(DatabaseFull):
        await database.write(lambda db: db.exec_driver_sql(fill))


async def test_commits_wait_for_the_disk_whatever_the_server_was_told(database: Database) -> None:
    """The server of the tests has ``synchronous_commit`` off, as an administrator might."""
    assert await database.write(lambda db: db.execute(text("SHOW synchronous_commit")).scalar()) == "on"


async def test_the_number_of_connections_is_bounded(database: Database) -> None:
    connected = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ecru'")
    await asyncio.gather(*(database.read(count) for _ in range(60)), *(database.write(count) for _ in range(60)))

    found = await database.read(lambda db: db.execute(connected).scalar_one())
    assert 2 <= found <= postgres.READERS + postgres.WRITERS


async def test_reads_see_what_has_just_been_written(database: Database) -> None:
    """The two pools are two connections, and a write is acknowledged after its commit."""
    for number in range(20):
        await database.write(add, f"{number:02}")

        assert len(await database.read(names)) == number + 1


async def test_a_statement_that_a_migration_outdated_is_prepared_again(database: Database) -> None:
    """A newer node may migrate while this one runs."""
    await database.write(add, "counter")
    await asyncio.gather(*(run(version) for run in [database.read, database.write] * 12))
    await database.write(lambda db: db.exec_driver_sql("ALTER TABLE note ALTER COLUMN version TYPE bigint"))

    assert await asyncio.gather(*(run(version) for run in [database.read, database.write] * 12)) == [0] * 24


async def test_cancelled_queries_leave_a_working_pool(database: Database) -> None:
    sleep = select(func.pg_sleep(30))
    tasks = [asyncio.create_task(database.write(lambda db: db.execute(sleep).all())) for _ in range(postgres.WRITERS * 2)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    await asyncio.gather(*(database.write(add, f"{number}") for number in range(20)))

    assert all(task.cancelled() for task in tasks)
    assert await database.read(count) == 20


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = open_database(f"postgresql://ecru@127.0.0.1:{free_port()}/ecru")

    with pytest.raises(DatabaseUnavailable):
        await database.read(count)
    with pytest.raises(DatabaseUnavailable):
        await database.check()
    await database.close()


async def test_a_database_that_is_not_there_is_unavailable(postgresql_url: str) -> None:
    database = open_database(postgresql_url.rpartition("/")[0] + "/nowhere")

    with pytest.raises(DatabaseUnavailable, match="nowhere"):
        await database.read(count)
    await database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
async def test_a_url_is_libpqs_with_its_parameters(postgresql_url: str, scheme: str) -> None:
    database = open_database(f"{scheme}://{postgresql_url.partition('://')[2]}")

    await database.check()
    await database.close()
