"""A server with two accounts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecru.access.authenticate import secret_context
from ecru.access.bootstrap import Credentials
from ecru.app import read_key_ring
from ecru.metadata import accounts
from ecru.metadata.database import Transaction
from ecru.policy.arn import AccountId
from tests.wire.serving import Server, copy_folder, prepared_folder, serving

NEIGHBOUR = AccountId("111111111111")
NEIGHBOURS_KEY = Credentials("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")


@pytest.fixture(scope="session")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has been prepared, to be copied and not to be used."""
    return await prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
async def server(prepared: Path, tmp_path: Path) -> AsyncIterator[Server]:
    """A server with the repository ``app`` in the default account, and another account beside it."""
    async with serving(copy_folder(prepared, tmp_path / "data")) as running:
        await running.create_repository("app")
        await running.database.write(_move_in, running)
        yield running


def _move_in(db: Transaction, server: Server) -> None:
    key, now = NEIGHBOURS_KEY, datetime.now(UTC)
    secret = read_key_ring(server.settings).seal(key.secret_access_key.encode(), secret_context(key.access_key_id))
    accounts.create_account(db, NEIGHBOUR, now=now)
    accounts.put_access_key(db, key.access_key_id, NEIGHBOUR, secret=secret, now=now)
