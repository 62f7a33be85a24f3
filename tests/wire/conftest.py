"""A server for each test of the wire: the whole application, on either database, with blobs in memory."""

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecru.prepare import prepare
from tests.servers import PostgresqlServer
from tests.wire.serving import Server, copy_folder, prepared_folder, serving, settings_for

_TEMPLATE = "wire_prepared"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has been prepared, to be copied and not to be used."""
    return await prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
async def prepared_postgresql(prepared: Path, postgresql_server: PostgresqlServer) -> PostgresqlServer:
    """A PostgreSQL server with a database that has been prepared with the keys of that folder, to be copied."""
    postgresql_server.execute(f"CREATE DATABASE {_TEMPLATE}")
    await prepare(settings_for(prepared, database=postgresql_server.url(_TEMPLATE)), now=datetime.now(UTC))
    return postgresql_server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The settings that name the test's own database: none for SQLite, which lies in the data folder."""
    if request.param == "sqlite":
        yield {}
        return
    running: PostgresqlServer = request.getfixturevalue("prepared_postgresql")
    name = f"wire_{next(_numbers)}"
    running.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield {"database": running.url(name)}
    running.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def server(prepared: Path, database: dict[str, Any], tmp_path: Path) -> AsyncIterator[Server]:
    """A server of the test's own."""
    async with serving(copy_folder(prepared, tmp_path / "data"), **database) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a valid token, and the repository ``app`` to use it on."""
    await server.create_repository("app")
    async with server.http() as http:
        yield http
