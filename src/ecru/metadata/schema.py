"""Which schema the database has, and how it gets the one this program was written for.

A database is never migrated backwards: a program that meets a schema it does not know stops, since it cannot know
what the newer one has promised.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ecru.metadata import postgres, sqlite
from ecru.metadata.database import open_database, parse_url
from ecru.metadata.errors import SchemaTooNew, SchemaTooOld

T = TypeVar("T")


class Status(NamedTuple):
    """Where a database is, and where this program wants it; None is before the first revision."""

    current: str | None
    newest: str | None


async def upgrade(url: str) -> Status:
    """Bring the schema up to this program's, all of it or nothing, and answer where it was found.

    Several processes and machines may call it at once: one does it, the others wait and find it done.

    Raises:
        SchemaTooNew: a newer program has been here.
    """

    def migrate(connection: Connection) -> Status:
        found = _status(connection)
        _refuse_unknown(found)
        if found.current != found.newest:
            command.upgrade(alembic_config(connection), "head")
        return found

    return await run_alone(url, migrate)


async def status(url: str) -> Status:
    """Look, and touch nothing: a file that is not there is not made."""
    if isinstance(path := parse_url(url), Path) and not path.exists():
        return Status(None, newest_revision())
    database = open_database(url)
    try:
        return await database.read_snapshot(_status)
    finally:
        await database.close()


async def require(url: str) -> None:
    """Return if the schema is this program's.

    Raises:
        SchemaTooNew: a newer program has been here.
        SchemaTooOld: nobody has migrated it yet.
    """
    found = await status(url)
    _refuse_unknown(found)
    if found.current != found.newest:
        raise SchemaTooOld(
            f'The schema of the database is at revision "{found.current or "none"}", and this program needs "{found.newest}". '
            'Run "ecru migrate" first.'
        )


async def run_alone(url: str, fn: Callable[[Connection], T]) -> T:
    """Run a change of the schema in one transaction while nobody else can make one."""
    match parse_url(url):
        case Path() as path:
            return await asyncio.to_thread(sqlite.migrate, path, fn)
        case dsn:
            return await postgres.migrate(dsn, fn)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file: where the revisions are, and the connection they run on."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "ecru.metadata:migrations")
    return config


def newest_revision() -> str | None:
    """The revision this program was written for; None until there is a first one."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def _status(connection: Connection) -> Status:
    return Status(MigrationContext.configure(connection).get_current_revision(), newest_revision())


def _refuse_unknown(found: Status) -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {script.revision for script in scripts.walk_revisions()}
    if found.current is not None and found.current not in known:
        raise SchemaTooNew(
            f'The schema of the database is at revision "{found.current}", which this program does not know; its newest is '
            f'"{found.newest}". Run the version of ecru that migrated the database, or restore a backup from before that.'
        )
