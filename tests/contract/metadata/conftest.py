"""A database of each engine; every test of this folder that asks for one runs on both."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ecru.metadata.database import Database, open_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of its own for each test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ecru.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """A database without tables."""
    database = open_database(database_url)
    yield database
    await database.close()
