"""A server for each test of the wire: the whole application, on a SQLite file and blobs in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.wire.serving import Server, copy_folder, prepared_folder, serving


@pytest.fixture(scope="session")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has been prepared, to be copied and not to be used."""
    return await prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
async def server(prepared: Path, tmp_path: Path) -> AsyncIterator[Server]:
    """A server of the test's own."""
    async with serving(copy_folder(prepared, tmp_path / "data")) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a valid token, and the repository ``app`` to use it on."""
    await server.create_repository("app")
    async with server.http() as http:
        yield http
