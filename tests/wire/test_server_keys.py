"""The server keys of a deployment: lost, restored, rotated."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecru.access.keys import InvalidServerKey, new_server_key, parse_key_ring
from ecru.metadata import accounts
from ecru.metadata.database import open_database
from ecru.prepare import prepare
from tests.wire.serving import copy_folder, serving, settings_for

pytestmark = pytest.mark.anyio


async def test_a_node_with_another_server_key_does_not_start(prepared: Path, tmp_path: Path) -> None:
    folder = copy_folder(prepared, tmp_path / "data")
    (folder / "server.key").write_text(new_server_key())

    with pytest.raises(InvalidServerKey, match="restore the one of the backup"):
        await prepare(settings_for(folder), now=datetime.now(UTC))


async def test_after_a_start_with_a_new_key_in_front_the_old_one_may_go(prepared: Path, tmp_path: Path) -> None:
    folder = copy_folder(prepared, tmp_path / "data")
    file, new = folder / "server.key", new_server_key()
    async with serving(folder) as server:
        token = server.token()
    file.write_text(f"{new}\n{file.read_text()}")
    await prepare(settings_for(folder), now=datetime.now(UTC))
    async with serving(folder) as server, server.http() as client:
        answer = await client.get("/v2/")
    file.write_text(new)
    await prepare(settings_for(folder), now=datetime.now(UTC))
    database = open_database(settings_for(folder).database)
    known = await database.read(accounts.list_server_keys)
    await database.close()

    assert token
    assert answer.status_code == 200
    assert known == {parse_key_ring(new).newest.fingerprint}
