"""The queue: each job is had by one worker at a time, and none is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ecru.metadata import queue, tables
from ecru.metadata.database import Database, Transaction, open_database
from ecru.metadata.queue import Lease
from tests.contract.holding import holding

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KINDS = ("scan", "sweep")


@pytest.fixture
async def database(empty_database: Database) -> Database:
    await empty_database.write(tables.metadata.create_all)
    return empty_database


@pytest.fixture
async def postgresql(postgresql_url: str) -> AsyncIterator[Database]:
    """The engine on which transactions are open side by side."""
    database = open_database(postgresql_url)
    await database.write(tables.metadata.create_all)
    yield database
    await database.close()


async def claim(database: Database, now: datetime = NOW, worker: str = "one") -> Lease | None:
    return await database.write(queue.claim, KINDS, leased_by=worker, now=now, until=now + MINUTE)


async def claimed(database: Database, now: datetime = NOW, worker: str = "one") -> Lease:
    lease = await claim(database, now, worker)
    assert lease is not None
    return lease


async def rows(database: Database, *names: str) -> list[Any]:
    columns = [tables.job.c[name] for name in names]
    return [tuple(row) for row in await database.read(lambda db: db.execute(select(*columns).order_by(tables.job.c.id)).all())]


async def test_a_job_is_claimed_with_what_it_is_about_once_it_is_due(database: Database) -> None:
    await database.write(queue.enqueue, "scan", {"image": 5, "why": "push"}, run_at=NOW)

    assert await claim(database, NOW - timedelta(microseconds=1)) is None
    lease = await claimed(database)
    assert (lease.kind, lease.arguments, lease.attempts) == ("scan", {"image": 5, "why": "push"}, 1)
    assert await claim(database, worker="two") is None


async def test_a_job_is_there_only_if_what_caused_it_is(database: Database) -> None:
    def cause_and_refuse(db: Transaction) -> None:
        queue.enqueue(db, "scan", run_at=NOW)
        queue.enqueue(db, "scan", run_at=NOW, unique_key="5")
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(cause_and_refuse)

    assert await database.read(queue.count_due, KINDS, now=NOW) == 0


async def test_what_is_due_for_longest_comes_first(database: Database) -> None:
    for number, minutes in enumerate((2, 0, 1)):
        await database.write(queue.enqueue, "scan", {"number": number}, run_at=NOW + minutes * MINUTE)

    later = NOW + 5 * MINUTE
    assert [(await claimed(database, later)).arguments["number"] for _ in range(3)] == [1, 2, 0]


async def test_a_worker_claims_only_kinds_it_knows(database: Database) -> None:
    await database.write(queue.enqueue, "invented-later", run_at=NOW)

    assert await database.read(queue.count_due, KINDS, now=NOW) == 0
    assert await claim(database) is None


async def test_of_many_workers_one_gets_each_job(database: Database, database_url: str) -> None:
    for number in range(60):
        await database.write(queue.enqueue, "scan", {"number": number}, run_at=NOW)
    others = [open_database(database_url) for _ in range(2)]
    had: Counter[object] = Counter()

    async def work(database: Database, worker: int) -> None:
        number = 0
        while await database.read(queue.count_due, KINDS, now=NOW):
            number += 1
            lease = await claim(database, worker=f"{worker} {number}")
            if lease is not None:
                had[lease.arguments["number"]] += 1
                assert await database.write(queue.complete, lease)

    try:
        await asyncio.gather(*(work([database, *others][number % 3], number) for number in range(12)))
    finally:
        for other in others:
            await other.close()

    assert had == Counter(range(60))
    assert await rows(database, "id") == []


async def test_a_lease_that_ran_out_is_taken_over_and_then_ends_nothing(database: Database) -> None:
    await database.write(queue.enqueue, "scan", run_at=NOW)
    dead = await claimed(database, worker="dead")

    assert await claim(database, NOW + MINUTE - timedelta(microseconds=1), "heir") is None
    heir = await claimed(database, NOW + MINUTE, "heir")
    assert heir.attempts == 2
    assert not await database.write(queue.keep, dead, until=NOW + 9 * MINUTE)
    assert not await database.write(queue.complete, dead)
    assert not await database.write(queue.retry, dead, run_at=NOW, error="")
    assert not await database.write(queue.bury, dead, now=NOW, error="")
    assert await database.write(queue.complete, heir)


async def test_a_lease_that_is_kept_is_not_taken_over(database: Database) -> None:
    await database.write(queue.enqueue, "scan", run_at=NOW)
    lease = await claimed(database)

    assert await database.write(queue.keep, lease, until=NOW + 3 * MINUTE)
    assert await claim(database, NOW + 2 * MINUTE, "heir") is None
    assert await database.write(queue.complete, lease)


async def test_what_is_tried_again_waits_and_its_attempts_are_counted(database: Database) -> None:
    await database.write(queue.enqueue, "scan", run_at=NOW)
    lease = await claimed(database)
    assert await database.write(queue.retry, lease, run_at=NOW + MINUTE, error="no luck")

    assert await claim(database) is None
    assert await rows(database, "last_error") == [("no luck",)]
    assert (await claimed(database, NOW + MINUTE)).attempts == 2


async def test_a_dead_letter_is_kept_and_blocks_nobody(database: Database) -> None:
    await database.write(queue.enqueue, "scan", {"image": 5}, run_at=NOW, unique_key="5")
    assert await database.write(queue.bury, await claimed(database), now=NOW, error="hopeless " * 1_000)

    assert await claim(database, NOW + 9 * MINUTE) is None
    await database.write(queue.enqueue, "scan", {"image": 5}, run_at=NOW, unique_key="5")
    assert await claim(database) is not None
    [(died_at, error), (alive, _)] = await rows(database, "died_at", "last_error")
    assert (died_at, alive) == (NOW, None)
    assert error.startswith("hopeless")
    assert len(error) == 2_000


async def test_a_key_has_one_job_which_runs_at_the_earliest_time_asked_for(database: Database) -> None:
    for minutes in (2, 1, 3):
        await database.write(queue.enqueue, "scan", run_at=NOW + minutes * MINUTE, unique_key="5")
    await database.write(queue.enqueue, "scan", run_at=NOW + 4 * MINUTE, unique_key="6")
    await database.write(queue.enqueue, "sweep", run_at=NOW + 4 * MINUTE, unique_key="5")

    assert await rows(database, "kind", "unique_key", "due_at") == [
        ("scan", "5", NOW + MINUTE),
        ("scan", "6", NOW + 4 * MINUTE),
        ("sweep", "5", NOW + 4 * MINUTE),
    ]


async def test_what_is_asked_for_while_it_runs_runs_once_more_and_not_at_once(database: Database) -> None:
    await database.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")
    lease = await claimed(database)
    for minutes in (3, 2, 4):
        await database.write(queue.enqueue, "scan", run_at=NOW + minutes * MINUTE, unique_key="5")

    assert await claim(database, worker="two") is None
    assert await database.write(queue.complete, lease)
    assert await claim(database, NOW + MINUTE) is None
    again = await claimed(database, NOW + 2 * MINUTE)
    assert again.attempts == 1
    assert await database.write(queue.complete, again)
    assert await rows(database, "id") == []


async def test_what_is_asked_for_while_its_last_attempt_fails_has_new_attempts(database: Database) -> None:
    await database.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")
    lease = await claimed(database)
    await database.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")
    assert await database.write(queue.bury, lease, now=NOW, error="hopeless")

    assert (await claimed(database)).attempts == 1
    assert await rows(database, "died_at") == [(None,)]


async def test_asking_does_not_cut_the_wait_after_a_failure_short(database: Database) -> None:
    await database.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")
    await database.write(queue.retry, await claimed(database), run_at=NOW + MINUTE, error="no luck")
    await database.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")

    assert await claim(database) is None
    assert (await claimed(database, NOW + MINUTE)).attempts == 2


async def test_of_many_who_ask_at_once_all_get_the_same_job(database: Database) -> None:
    asking = [database.write(queue.enqueue, "scan", run_at=NOW, unique_key="5") for _ in range(12)]
    await asyncio.gather(*asking)

    assert await rows(database, "unique_key") == [("5",)]


async def test_a_regular_job_is_there_once_and_goes_on_for_good(database: Database) -> None:
    await asyncio.gather(*(database.write(queue.schedule, "sweep", first_at=NOW) for _ in range(12)))
    lease = await claimed(database)
    await database.write(queue.schedule, "sweep", first_at=NOW)
    assert await claim(database, worker="two") is None
    assert await database.write(queue.complete, lease, next_at=NOW + MINUTE, error="given up")
    await database.write(queue.schedule, "sweep", first_at=NOW)

    assert await rows(database, "kind", "due_at", "attempts", "last_error") == [("sweep", NOW + MINUTE, 0, "given up")]


async def test_a_job_cannot_be_claimed_before_all_who_asked_for_it_have_committed(postgresql: Database) -> None:
    await postgresql.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")

    async with holding(postgresql, queue.enqueue, "scan", run_at=NOW, unique_key="5"):
        assert await claim(postgresql) is None
    assert await claim(postgresql) is not None


async def test_a_job_that_failed_is_not_tried_again_before_all_who_asked_for_it_have_committed(postgresql: Database) -> None:
    await postgresql.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")
    await postgresql.write(queue.retry, await claimed(postgresql), run_at=NOW, error="no luck")

    async with holding(postgresql, queue.enqueue, "scan", run_at=NOW, unique_key="5"):
        assert await claim(postgresql) is None
    assert await claim(postgresql) is not None


async def test_a_run_does_not_end_past_somebody_who_is_asking_for_it(postgresql: Database) -> None:
    await postgresql.write(queue.enqueue, "scan", run_at=NOW, unique_key="5")
    lease = await claimed(postgresql)

    async with holding(postgresql, queue.enqueue, "scan", run_at=NOW, unique_key="5") as held:
        ending = asyncio.create_task(postgresql.write(queue.complete, lease))
        await held.until_somebody_waits()
    assert await ending
    assert await claim(postgresql) is not None
