"""A server that is killed at any moment, under load, has what it acknowledged when it is started again.

``make soak KILLS=2000`` kills more often; ``SEED=…`` repeats a run, as far as the machine lets it.
"""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from ecru.app import open_deployment
from ecru.blobs import layout
from ecru.blobs.store import Location
from ecru.jobs.collect import collect
from ecru.jobs.declare import Work
from ecru.jobs.expire_uploads import expire_uploads
from ecru.metadata.database import Transaction
from ecru.metadata.tables import blob, discarded
from ecru.oci.digest import digest_of
from tests import servers
from tests.durability.deployment import Deployment, create_repository, log_in
from tests.durability.load import CLIENTS, Client, Inspector, Ledger
from tests.programs import Program
from tests.servers import PostgresqlServer
from tests.wire.serving import settings_for

KILLS = int(os.environ.get("KILLS", "40"))
SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
MOMENTS = 400
"""Within how many steps of its clients a server is killed; some 0.5 s of work."""
DATABASES_KILLED = 0.2

pytestmark = [pytest.mark.timeout(300 + 15 * KILLS), pytest.mark.anyio]


async def test_what_was_acknowledged_survives_kills_on_sqlite(tmp_path: Path) -> None:
    await kill_often(Deployment(tmp_path))


async def test_what_was_acknowledged_survives_kills_on_postgresql_which_dies_too_at_times(tmp_path: Path) -> None:
    with servers.postgresql_server(durable=True) as server:
        await kill_often(Deployment(tmp_path, database=server.url("postgres")), server)


async def kill_often(deployment: Deployment, postgresql: PostgresqlServer | None = None) -> None:
    """Start, load, kill, start again and look, many times; at the end look at everything, from behind too."""
    chance = random.Random(SEED)
    ledger = Ledger()
    program = deployment.start()
    try:
        create_repository(program)
        authorization = log_in(program)
        for number in range(KILLS):
            kill_at = ledger.moment + chance.randint(1, MOMENTS)
            kill_database_at = kill_at - chance.randint(0, 10) if postgresql and chance.random() < DATABASES_KILLED else None

            def reached(moment: int, program: Program = program, kill_at: int = kill_at, kill_database_at: int | None = kill_database_at) -> None:
                if moment == kill_database_at and postgresql:
                    postgresql.kill()
                if moment == kill_at:
                    os.killpg(program.process.pid, signal.SIGKILL)

            ledger.reached = reached
            await load(program, authorization, ledger, f"{SEED} {number}")
            program.kill()
            if kill_database_at is not None and postgresql:
                postgresql.start()
            program = deployment.start()
            faults = await Inspector(program.url, authorization, ledger, f"{SEED} {number}").look(
                at_everything=number == KILLS - 1
            )
            assert not faults, (f"SEED={SEED}", f"kill {number}", faults[:10])
    finally:
        program.kill()
    assert [refusal for refusal in ledger.refused if not refusal.startswith("503")] == []
    assert ledger.acknowledged > 10 * KILLS
    assert await strays(deployment) == []


async def load(program: Program, authorization: str, ledger: Ledger, seed: str) -> None:
    """Let clients work until the server is gone."""
    clients = [Client(each, program.url, authorization, ledger, f"{seed} {each}") for each in range(CLIENTS)]
    await asyncio.gather(*(client.work() for client in clients))
    ledger.cut()


async def strays(deployment: Deployment) -> Sequence[str]:
    """Look at what is left when all time is over: bytes without a row, and rows without their bytes; the server is stopped."""
    found: list[str] = []
    async with open_deployment(settings_for(deployment.data, database=deployment.database_url)) as opened:
        store = opened.stores["default"]
        for days in range(2, 10, 2):
            later = datetime.now(UTC) + timedelta(days=days)
            work = Work(opened, lambda later=later: later, asyncio.Event())  # type: ignore[misc]
            await expire_uploads.body(work)  # type: ignore[misc]
            await collect.body(work)  # type: ignore[misc]

        def rows(db: Transaction) -> tuple[dict[Location, tuple[str, int]], list[Location]]:
            known = {row[0]: (row[1], row[2]) for row in db.execute(select(blob.c.location, blob.c.digest, blob.c.size_bytes))}
            return known, list(db.execute(select(discarded.c.location)).scalars())

        known, waiting = await opened.database.read(rows)
        there = {stored.location async for stored in store.list(layout.EVERYTHING)}
        found += [f"{location} is there for nothing" for location in sorted(there - known.keys())]
        found += [f"{location} still waits to be deleted" for location in waiting]
        for location, (digest, _) in known.items():
            content = b"".join([piece async for piece in store.read(location)]) if location in there else b""
            if digest_of(content) != digest:
                found.append(f"{location} is not {digest}")
    return found
