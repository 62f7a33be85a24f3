"""The worker runs each job, again when it failed, elsewhere when its worker died, and once at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ecru.jobs import worker
from ecru.jobs.declare import Job, Retry, Work, job
from ecru.metadata import queue, tables
from ecru.metadata.database import Transaction
from ecru.oci.digest import digest_of
from tests.contract.jobs.world import EXPIRY, GRACE, World

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ONCE = Retry(attempts=1, first_wait=MINUTE, longest_wait=MINUTE)
THRICE = Retry(attempts=3, first_wait=HOUR, longest_wait=2 * HOUR)
SHORT = timedelta(milliseconds=300)
POLL_SECONDS = 0.01


@asynccontextmanager
async def working(
    world: World, *jobs: Job, lease: timedelta = worker.LEASE, workers: int = 1
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Keep workers running during the block, and stop them at its end."""
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(worker.work(world.deployment, stop, jobs=jobs, clock=lambda: world.now, lease=lease))
        for _ in range(workers)
    ]
    try:
        yield tasks
    finally:
        stop.set()
        async with asyncio.timeout(20):
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in a database
            await asyncio.sleep(POLL_SECONDS)


async def rows(world: World) -> list[Any]:
    """What is in the queue: what is due when, how often it was tried, why not, and whether it is dead."""
    columns = tables.job.c
    statement = select(columns.due_at, columns.attempts, columns.last_error, columns.died_at).order_by(columns.id)
    return [tuple(row) for row in await world.database.read(lambda db: db.execute(statement).all())]


async def enqueue(world: World, kind: str, **arguments: int | str) -> None:
    await world.database.write(queue.enqueue, kind, arguments, run_at=world.now)


def is_empty(world: World) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return not await rows(world)

    return look


def waits_until(world: World, at: datetime) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return [row[0] for row in await rows(world)] == [at]

    return look


async def test_each_job_is_run_once_with_its_arguments_however_many_workers_there_are(world: World) -> None:
    ran: Counter[int] = Counter()

    @job("count", retry=ONCE)
    async def count(work: Work, *, number: int) -> None:
        ran[number] += 1

    for number in range(30):
        await enqueue(world, "count", number=number)

    async with working(world, count, workers=6):
        await until(is_empty(world))

    assert ran == Counter(range(30))


async def test_a_transaction_and_the_end_of_its_run_are_one(world: World) -> None:
    @job("rename", retry=ONCE)
    def rename(db: Transaction, work: Work, *, to: str) -> None:
        db.execute(tables.repository.update().where(tables.repository.c.name == "other").values(name=to, created_at=work.now))
        if to == "bad":
            raise LookupError(to)

    async def names() -> set[str]:
        return set(await world.database.read(lambda db: db.execute(select(tables.repository.c.name)).scalars().all()))

    await enqueue(world, "rename", to="bad")
    async with working(world, rename):
        await until(lambda: _is_dead(world))
        assert await names() == {"app", "other"}
        await enqueue(world, "rename", to="good")
        await until(lambda: _has(names, "good"))

    assert len(await rows(world)) == 1


async def _is_dead(world: World) -> bool:
    return [row[3] for row in await rows(world)] == [world.now]


async def _has(names: Callable[[], Awaitable[set[str]]], name: str) -> bool:
    return name in await names()


async def test_a_job_that_fails_is_tried_again_after_growing_waits_and_ends_as_a_dead_letter(world: World) -> None:
    ran: list[datetime] = []

    @job("fail", retry=THRICE)
    async def fail(work: Work) -> None:
        ran.append(work.now)
        raise LookupError("no luck")

    start = world.now
    await enqueue(world, "fail")
    async with working(world, fail):
        await until(waits_until(world, start + HOUR))
        world.now += HOUR
        await until(waits_until(world, start + 3 * HOUR))
        world.now += 2 * HOUR
        await until(lambda: _is_dead(world))

    assert ran == [start, start + HOUR, start + 3 * HOUR]
    [(_, attempts, error, died_at)] = await rows(world)
    assert (attempts, error, died_at) == (3, "LookupError: no luck", start + 3 * HOUR)


async def test_a_regular_job_runs_again_and_again_one_at_a_time(world: World) -> None:
    running = 0
    most = 0
    ran: list[datetime] = []

    @job("sweep", retry=ONCE, every=HOUR)
    async def sweep(work: Work) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        ran.append(work.now)
        await asyncio.sleep(0)
        running -= 1

    start = world.now
    async with working(world, sweep, workers=4):
        for number in range(1, 4):
            await until(waits_until(world, start + number * HOUR))
            world.now += HOUR

    assert ran[:3] == [start, start + HOUR, start + 2 * HOUR]
    assert most == 1


async def test_a_regular_job_that_has_used_up_its_attempts_goes_on_at_its_next_time(world: World) -> None:
    @job("sweep", retry=ONCE, every=HOUR)
    async def sweep(work: Work) -> None:
        raise LookupError("no luck")

    async with working(world, sweep):
        await until(waits_until(world, world.now + HOUR))

    assert await rows(world) == [(world.now + HOUR, 0, "LookupError: no luck", None)]


async def test_the_job_of_a_worker_that_was_killed_is_taken_over_when_its_lease_has_run_out(world: World) -> None:
    ran: list[str] = []
    started = asyncio.Event()

    @job("long", retry=THRICE)
    async def long(work: Work) -> None:
        ran.append("began")
        started.set()
        if len(ran) == 1:
            await asyncio.Event().wait()
        ran.append("ended")

    await enqueue(world, "long")
    async with working(world, long) as [killed]:
        await started.wait()
        killed.cancel()
        await asyncio.wait([killed])

    async with working(world, long):
        assert await rows(world) == [(world.now + worker.LEASE, 1, None, None)]
        assert ran == ["began"]
        world.now += worker.LEASE
        await until(is_empty(world))

    assert ran == ["began", "began", "ended"]


async def test_a_job_that_ended_every_worker_that_ran_it_is_not_run_again(world: World) -> None:
    ran: list[str] = []

    @job("deadly", retry=ONCE)
    async def deadly(work: Work) -> None:
        ran.append("ran")

    await enqueue(world, "deadly")
    lease = await world.database.write(queue.claim, ["deadly"], leased_by="dead", now=world.now, until=world.now + MINUTE)
    assert lease is not None
    world.now += MINUTE
    async with working(world, deadly):
        await until(lambda: _is_dead(world))

    assert ran == []


async def test_a_lease_is_kept_while_its_job_runs(world: World) -> None:
    release = asyncio.Event()
    ran: list[str] = []

    @job("long", retry=THRICE)
    async def long(work: Work) -> None:
        ran.append("began")
        await release.wait()

    await enqueue(world, "long")
    start = world.now
    async with working(world, long, lease=SHORT, workers=2):
        for steps in range(1, 4):
            world.now = start + steps * SHORT / 2
            await until(waits_until(world, world.now + SHORT))
        release.set()
        await until(is_empty(world))

    assert ran == ["began"]


async def test_a_job_whose_lease_was_lost_is_cancelled_and_ends_nothing(world: World) -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    @job("long", retry=THRICE)
    async def long(work: Work) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await enqueue(world, "long")
    async with working(world, long, lease=SHORT):
        await started.wait()
        heir = await world.database.write(
            queue.claim, ["long"], leased_by="heir", now=world.now + MINUTE, until=world.now + 9 * MINUTE
        )
        async with asyncio.timeout(20):
            await cancelled.wait()

    assert heir is not None
    assert await world.database.write(queue.complete, heir)


async def test_a_worker_that_stops_lets_its_job_end_and_begins_no_other(world: World) -> None:
    started = asyncio.Event()
    ran: list[int] = []

    @job("step", retry=ONCE)
    async def step(work: Work, *, number: int) -> None:
        started.set()
        await work.stop.wait()
        ran.append(number)

    for number in range(worker.SLOTS + 1):
        await enqueue(world, "step", number=number)
    async with working(world, step):
        await started.wait()

    assert 1 <= len(ran) <= worker.SLOTS
    assert len(await rows(world)) == worker.SLOTS + 1 - len(ran)


async def test_the_worker_expires_and_collects_by_itself(world: World) -> None:
    session = await world.append("app", await world.begin("app"), b"given up")
    await world.push_blob("app", b"nobody's")
    await world.push_image("app", b"config", b"layer")
    world.now += max(EXPIRY, GRACE)

    async def is_done() -> bool:
        return not await world.count(tables.upload) and await world.count(tables.blob) == 2

    async with working(world, *worker.JOBS, workers=2):
        await until(is_done)

    assert session.upload.received_bytes == 8
    assert await world.has_blob("app", digest_of(b"layer"))
    assert sorted(row[0] for row in await rows(world)) == [world.now + MINUTE] * 2
