"""The migrations make what ``tables`` says, once, and stop at what they do not know."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from ecru.metadata import schema, tables
from ecru.metadata.database import Database, DatabaseUnavailable, SchemaTooNew, SchemaTooOld, open_database
from tests.contract.metadata.notes import NOW

pytestmark = pytest.mark.anyio

NEWEST = schema.newest_revision()


@pytest.fixture
async def migrated(database_url: str) -> AsyncIterator[Database]:
    """A database with this program's schema."""
    await schema.upgrade(database_url)
    database = open_database(database_url)
    yield database
    await database.close()


def _described(connection: Connection) -> dict[str, object]:
    """All that can be read back of a schema, in an order that does not depend on its history."""
    inspector = inspect(connection)
    return {
        name: {
            "columns": {column["name"]: column | {"type": repr(column["type"])} for column in inspector.get_columns(name)},
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": sorted(inspector.get_foreign_keys(name), key=repr),
            "unique": sorted(inspector.get_unique_constraints(name), key=repr),
            "checks": sorted(inspector.get_check_constraints(name), key=repr),
            "indexes": sorted((_described_index(index) for index in inspector.get_indexes(name)), key=repr),
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def _described_index(index: object) -> str:
    # The condition of a partial index is an object whose text is what counts.
    assert isinstance(index, dict)
    return repr(index | {"dialect_options": {name: str(value) for name, value in index.get("dialect_options", {}).items()}})


async def test_the_migrations_make_what_the_tables_say(migrated: Database) -> None:
    def remake(connection: Connection) -> dict[str, object]:
        tables.metadata.drop_all(connection)
        tables.metadata.create_all(connection)
        return _described(connection)

    by_migrations = await migrated.read(_described)
    by_tables = await migrated.write(remake)

    assert by_migrations.keys() == tables.metadata.tables.keys()
    assert by_migrations == by_tables


async def test_alembic_finds_nothing_left_to_migrate(migrated: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables.metadata))

    assert await migrated.read(differences) == []


async def test_upgrading_answers_what_it_found_and_twice_is_once(database_url: str) -> None:
    assert await schema.upgrade(database_url) == (None, NEWEST)
    assert await schema.upgrade(database_url) == (NEWEST, NEWEST)
    await schema.require(database_url)


async def test_programs_that_start_together_migrate_once(database_url: str) -> None:
    found = await asyncio.gather(*(schema.upgrade(database_url) for _ in range(4)))

    assert sorted(status.current or "" for status in found) == ["", NEWEST, NEWEST, NEWEST]


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_looking_at_the_schema_touches_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ecru.db'}"

    assert await schema.status(url) == (None, NEWEST)
    assert not _files(tmp_path)


async def test_a_database_that_was_not_migrated_is_too_old(database_url: str) -> None:
    with pytest.raises(SchemaTooOld, match="ecru migrate"):
        await schema.require(database_url)

    assert await schema.status(database_url) == (None, NEWEST)


async def test_a_newer_schema_is_refused_by_name_and_left_alone(migrated: Database, database_url: str) -> None:
    await migrated.write(lambda db: db.execute(text("UPDATE alembic_version SET version_num = '9999'")))

    for refuse in (schema.upgrade, schema.require):
        with pytest.raises(SchemaTooNew, match=rf'"9999".*"{NEWEST}"'):
            await refuse(database_url)

    assert await schema.status(database_url) == ("9999", NEWEST)


async def test_a_migration_that_fails_leaves_nothing(database_url: str) -> None:
    def fail_half_way(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO half VALUES (1)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await schema.run_alone(database_url, fail_half_way)

    database = open_database(database_url)
    assert await database.read(lambda db: inspect(db).get_table_names()) == []
    await database.close()


async def test_a_migration_may_rebuild_a_table_that_others_point_to(database_url: str) -> None:
    """SQLite changes a table by dropping the old one, which would take along, or be stopped by, what points to it."""
    await schema.upgrade(database_url)

    def fill_and_rebuild(connection: Connection) -> None:
        connection.execute(tables.account.insert().values(id="000000000000", created_at=NOW))
        key = {"id": "AKIA", "account_id": "000000000000", "secret": b"", "active": True, "created_at": NOW}
        connection.execute(tables.access_key.insert().values(**key))
        with Operations(MigrationContext.configure(connection)).batch_alter_table("account", recreate="auto") as account:
            account.alter_column("created_at", new_column_name="made_at")

    await schema.run_alone(database_url, fill_and_rebuild)

    database = open_database(database_url)
    assert await database.read(lambda db: db.execute(text("SELECT account_id FROM access_key")).scalar()) == "000000000000"
    assert "made_at" in await database.read(lambda db: [column["name"] for column in inspect(db).get_columns("account")])
    await database.close()


async def test_a_migration_that_leaves_rows_astray_is_undone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ecru.db'}"
    await schema.upgrade(url)

    def orphan(connection: Connection) -> None:
        connection.execute(text("INSERT INTO account_setting VALUES ('123456789012', 'us-east-1', 'name', 'value')"))

    with pytest.raises(DatabaseUnavailable, match="account_setting"):
        await schema.run_alone(url, orphan)

    database = open_database(url)
    assert await database.read(lambda db: db.execute(text("SELECT count(*) FROM account_setting")).scalar()) == 0
    await database.close()
