"""A world on each engine; one has its blobs in a folder, the other in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ecru.blobs.folder import FolderStore
from ecru.blobs.memory import MemoryStore
from ecru.blobs.store import BlobStore
from ecru.metadata import tables
from ecru.metadata.database import Database, open_database
from tests.contract.jobs.world import World, a_world


@pytest.fixture(params=["sqlite and a folder", "postgresql and memory"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of its own for each test."""
    if request.param.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'ecru.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with our tables."""
    database = open_database(database_url)
    await database.write(tables.metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database, tmp_path: Path) -> AsyncIterator[BlobStore]:
    """An empty store."""
    store: BlobStore = MemoryStore() if database.is_postgres else FolderStore(tmp_path / "blobs")
    yield store
    await store.close()


@pytest.fixture
async def world(database: Database, store: BlobStore) -> AsyncIterator[World]:
    """A deployment with the repositories ``app`` and ``other``."""
    async with a_world(database, store) as world:
        yield world


@pytest.fixture
async def postgresql_world(postgresql_url: str) -> AsyncIterator[World]:
    """A world in which transactions are open side by side."""
    database = open_database(postgresql_url)
    await database.write(tables.metadata.create_all)
    async with a_world(database, MemoryStore()) as world:
        yield world
    await database.close()


@pytest.fixture
async def folder_world(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose bytes are files."""
    database = open_database(f"sqlite:///{tmp_path / 'ecru.db'}")
    await database.write(tables.metadata.create_all)
    store = FolderStore(tmp_path / "blobs")
    async with a_world(database, store) as world:
        yield world
    await store.close()
    await database.close()
