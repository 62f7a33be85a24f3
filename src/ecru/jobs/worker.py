"""The job worker: claims what is due, runs it, and records how it went.

A lease is kept while its job runs, three times in its length. When it cannot be kept (another worker took the job over while
this one was suspended, or the database is away) the job is cancelled: from then on it is somebody else's.

A worker that is told to stop claims nothing more and lets each running job end with the step it is in. One that is killed
leaves its leases to run out.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import structlog

from ecru.call import Deployment
from ecru.jobs.collect import collect
from ecru.jobs.declare import Job, Work
from ecru.jobs.expire_uploads import expire_uploads
from ecru.metadata import queue
from ecru.metadata.database import Transaction
from ecru.metadata.errors import DatabaseFull, DatabaseUnavailable
from ecru.metadata.queue import Lease
from ecru.telemetry import metrics

JOBS: Final = (collect, expire_uploads)
"""Every kind of job."""
LEASE: Final = timedelta(minutes=1)
SLOTS: Final = 2
"""How many jobs one worker runs at once."""
_KEEPS_PER_LEASE: Final = 3
_IDLE_SECONDS: Final = (0.5, 1.0)

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


async def work(
    deployment: Deployment,
    stop: asyncio.Event,
    *,
    jobs: Sequence[Job] = JOBS,
    clock: Callable[[], datetime] = utc_now,
    lease: timedelta = LEASE,
) -> None:
    """Run jobs until told to stop.

    Args:
        deployment: what they work with.
        stop: once set, the running jobs end with their current step, and this returns.
        jobs: the kinds that are run; others stay in the queue.
        clock: tells the time that jobs and leases go by.
        lease: how long a job stays with a worker that shows no sign of life.
    """
    worker = _Worker(Work(deployment, clock, stop), {each.kind: each for each in jobs}, lease)
    async with asyncio.TaskGroup() as slots:
        for _ in range(SLOTS):
            slots.create_task(worker.keep_working())


class _LeaseLost(Exception):
    """The run was not ours any more when it was to be committed."""


class _Worker:
    def __init__(self, work: Work, jobs: Mapping[str, Job], lease: timedelta) -> None:
        self._work = work
        self._jobs = jobs
        self._lease = lease
        self._database = work.deployment.database
        self._scheduled = False

    async def keep_working(self) -> None:
        """Run one job after another; without the database, wait for it."""
        while not self._work.stopping:
            try:
                found = await self._run_next()
            except (DatabaseFull, DatabaseUnavailable) as fault:
                log.warning("the queue cannot be used", reason=str(fault))
                found = False
            if not found:
                await self._idle()

    async def _idle(self) -> None:
        # At random, so that workers that were started together do not ask together.
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(*_IDLE_SECONDS)):  # noqa: S311 - it is no secret
                await self._work.stop.wait()

    async def _run_next(self) -> bool:
        """Run the next job; False if none is due."""
        await self._schedule()
        now = self._work.now
        due = await self._database.read(queue.count_due, self._jobs, now=now)
        metrics.JOBS_DUE.set(due)
        if not due:
            return False
        lease = await self._database.write(queue.claim, self._jobs, leased_by=uuid4().hex, now=now, until=now + self._lease)
        if lease is None:
            return False
        await self._run(self._jobs[lease.kind], lease)
        return True

    async def _schedule(self) -> None:
        """Once, see that every regular job is in the queue."""
        if not self._scheduled:
            for job in self._jobs.values():
                if job.every is not None:
                    await self._database.write(queue.schedule, job.kind, first_at=self._work.now)
            self._scheduled = True

    async def _run(self, job: Job, lease: Lease) -> None:
        if lease.attempts > job.retry.attempts:
            # Not even tried: whatever ended the workers before would end this one.
            await self._record_failure(job, lease, "each worker that ran it was gone before its end")
            return
        held = asyncio.timeout(self._lease.total_seconds())
        try:
            async with held:
                keeping = asyncio.create_task(self._keep(lease, held))
                try:
                    await self._run_body(job, lease)
                finally:
                    keeping.cancel()
        except Exception as fault:  # noqa: BLE001 - whatever a job fails with, the worker goes on
            if isinstance(fault, _LeaseLost) or (isinstance(fault, TimeoutError) and held.expired()):
                log.warning("job was lost to another worker", job=job.kind, id=lease.id)
                metrics.JOBS.labels(job.kind, "lost").inc()
            else:
                await self._record_failure(job, lease, f"{type(fault).__name__}: {fault}", fault)
        else:
            metrics.JOBS.labels(job.kind, "done").inc()

    async def _run_body(self, job: Job, lease: Lease) -> None:
        def end(db: Transaction) -> None:
            if not queue.complete(db, lease, next_at=self._next_time(job)):
                raise _LeaseLost

        def run_and_end(db: Transaction) -> None:
            job.body(db, self._work, **lease.arguments)
            end(db)

        if job.is_transaction:
            await self._database.write(run_and_end)
        else:
            running = job.body(self._work, **lease.arguments)
            assert running is not None
            await running
            await self._database.write(end)

    def _next_time(self, job: Job) -> datetime | None:
        return None if job.every is None else self._work.now + job.every

    async def _keep(self, lease: Lease, held: asyncio.Timeout) -> None:
        """Keep the lease; once it is lost, or has not been kept for its length, the timeout ends the job."""
        seconds = self._lease.total_seconds()
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(seconds / _KEEPS_PER_LEASE)
            asked_at = loop.time()
            try:
                kept = await self._database.write(queue.keep, lease, until=self._work.now + self._lease)
            except (DatabaseFull, DatabaseUnavailable) as fault:
                log.warning("a lease was not kept", reason=str(fault))
                continue
            held.reschedule(asked_at + seconds if kept else asked_at)

    async def _record_failure(self, job: Job, lease: Lease, error: str, fault: Exception | None = None) -> None:
        now = self._work.now
        if lease.attempts < job.retry.attempts:
            outcome, again_at = "failed", now + job.retry.wait_after(lease.attempts)
            await self._database.write(queue.retry, lease, run_at=again_at, error=error)
        elif job.every is not None:
            outcome, again_at = "given up", now + job.every
            await self._database.write(queue.complete, lease, next_at=again_at, error=error)
        else:
            outcome, again_at = "dead", None
            await self._database.write(queue.bury, lease, now=now, error=error)
        metrics.JOBS.labels(job.kind, outcome).inc()
        log.error(
            "job failed",
            job=job.kind,
            id=lease.id,
            attempt=lease.attempts,
            reason=error,
            again_at=None if again_at is None else again_at.isoformat(timespec="seconds"),
            exc_info=fault,
        )
