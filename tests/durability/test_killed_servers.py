"""A server that is killed at any moment, under load, has what it acknowledged when it is started again.

``make soak KILLS=2000`` kills more often; ``SEED=…`` repeats a run, as far as the machine lets it.
"""

import asyncio
import itertools
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
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
from tests.servers import PostgresqlServer, is_listening
from tests.wire.serving import settings_for

KILLS = int(os.environ.get("KILLS", "40"))
SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
KILLS_OF_ONE_DEPLOYMENT = 100
"""After so many another one takes its place, since what is pushed stays."""
MOMENTS = 400
"""Within how many steps of its clients a server is killed; some 0.5 s of work."""
KILLED_DATABASES = 0.2
KILLED_STARTS = 0.1

pytestmark = [pytest.mark.timeout(300 + 15 * KILLS), pytest.mark.anyio]


async def test_what_was_acknowledged_survives_kills_on_sqlite(tmp_path: Path) -> None:
    for first, kills in rounds():
        folder = tmp_path / str(first)
        await kill_often(Deployment(folder), kills, f"{SEED} {first}")
        shutil.rmtree(folder)


async def test_what_was_acknowledged_survives_kills_on_postgresql_which_dies_too_at_times(tmp_path: Path) -> None:
    for first, kills in rounds():
        folder = tmp_path / str(first)
        with servers.postgresql_server(durable=True) as server:
            await kill_often(Deployment(folder, database=server.url("postgres")), kills, f"{SEED} {first}", server)
        shutil.rmtree(folder)


async def test_an_answer_before_the_commit_is_noticed(tmp_path: Path) -> None:
    """This lane's own test: it must be able to fail."""
    with pytest.raises(AssertionError, match="SEED="):
        await kill_often(Deployment(tmp_path).without("commit-before-answer"), 40, SEED)


def rounds() -> Iterator[tuple[int, int]]:
    """The number of the first kill of each deployment, and how many it gets."""
    for first in range(0, KILLS, KILLS_OF_ONE_DEPLOYMENT):
        yield first, min(KILLS_OF_ONE_DEPLOYMENT, KILLS - first)


async def kill_often(deployment: Deployment, kills: int, seed: str, postgresql: PostgresqlServer | None = None) -> None:
    """Start, load, kill, start again and look, many times; at the end look at everything, from behind too."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be guessed
    ledger = Ledger()
    program = deployment.start()
    try:
        create_repository(program)
        authorization = log_in(program)
        for number in range(kills):
            ledger.reached = killing(program, ledger, chance, postgresql)
            clients = [Client(each, program.url, authorization, ledger, f"{seed} {number} {each}") for each in range(CLIENTS)]
            await asyncio.gather(*(client.work() for client in clients))
            program.kill()
            ledger.cut()
            if postgresql and not is_listening(postgresql.port):
                postgresql.start()
            if chance.random() < KILLED_STARTS:
                kill_a_start(deployment, after_looks=chance.randrange(100))
            program = deployment.start()
            inspector = Inspector(program.url, authorization, ledger, f"{seed} {number}")
            faults = await inspector.look(at_everything=number == kills - 1)
            assert not faults, (f"SEED={SEED}", f"kill {number} with {seed}", faults[:10])
    finally:
        program.kill()
    assert [refusal for refusal in ledger.refused if not (postgresql and refusal.startswith("503"))] == []
    assert ledger.acknowledged > 10 * (kills - 5)  # or the load was none; a few kills may all come early
    assert await strays(deployment) == []


def killing(program: Program, ledger: Ledger, chance: random.Random, postgresql: PostgresqlServer | None) -> Callable[[int], None]:
    """Choose the moment at which the whole process group is killed, and at times the database a little earlier."""
    moment = ledger.moment + chance.randint(1, MOMENTS)
    moment_of_database = moment - chance.randrange(10) if chance.random() < KILLED_DATABASES else None

    def reached(now: int) -> None:
        if now == moment_of_database and postgresql:
            postgresql.kill()
        if now == moment:
            os.killpg(program.process.pid, signal.SIGKILL)

    return reached


def kill_a_start(deployment: Deployment, *, after_looks: int) -> None:
    """Start a server and kill it somewhere on its way."""
    looks = itertools.count()
    program = deployment.start(until=lambda program: next(looks) >= after_looks or program.answers())
    program.kill()


async def strays(deployment: Deployment) -> Sequence[str]:
    """Look at what is left when all time is over: bytes without a row, rows without their bytes; the server is stopped."""
    async with open_deployment(settings_for(deployment.data, database=deployment.database_url)) as opened:
        store = opened.stores["default"]
        for days in range(2, 10, 2):  # what one run queues, a later one deletes
            later = datetime.now(UTC) + timedelta(days=days)
            for job in (expire_uploads, collect):
                running = job.body(Work(opened, lambda later=later: later, asyncio.Event()))  # type: ignore[misc]
                assert running is not None
                await running

        rows = await opened.database.read(_locations)
        # A look whether the store can be used, killed in its middle, leaves a few bytes that are no upload's.
        there = {stored.location async for stored in store.list(layout.EVERYTHING) if not stored.location.startswith("probes/")}
        found = [f"{location} is there for nothing" for location in sorted(there - rows.keys())]
        found += [f"{location} still waits to be deleted" for location in await opened.database.read(_discarded)]
        for location, digest in rows.items():
            content = b"".join([piece async for piece in store.read(location)]) if location in there else b""
            if digest_of(content) != digest:
                found.append(f"{location} is not {digest}")
    return found + _faults_of_sqlite(deployment)


def _locations(db: Transaction) -> dict[Location, str]:
    return {row[0]: row[1] for row in db.execute(select(blob.c.location, blob.c.digest))}


def _discarded(db: Transaction) -> list[Location]:
    return list(db.execute(select(discarded.c.location)).scalars())


def _faults_of_sqlite(deployment: Deployment) -> list[str]:
    """What SQLite itself finds wrong with its file."""
    if deployment.database is not None:
        return []
    with closing(sqlite3.connect(deployment.data / "ecru.db")) as database:
        checks = (*database.execute("PRAGMA integrity_check"), *database.execute("PRAGMA foreign_key_check"))
    return [str(row) for row in checks if row != ("ok",)]
