"""Jobs, declared beside their bodies.

A body that is a plain function is one transaction, committed together with the end of its run. One that does other I/O is
``async`` and calls ``await work.deployment.database.write(…)`` in bounded steps. Either may run again after it has done its work,
wholly or in part, so its docstring says why that is harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from typing import TypeAlias

from ecru.call import Deployment

Body: TypeAlias = Callable[..., Awaitable[None] | None]
"""``(db, work, …)`` or, if async, ``(work, …)``; the job's arguments are keywords."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job that fails is tried, and how long it waits in between: twice as long each time."""

    attempts: int
    first_wait: timedelta
    longest_wait: timedelta

    def wait_after(self, attempt: int) -> timedelta:
        """How long to wait after an attempt, of which the first is 1."""
        wait = self.first_wait
        for _ in range(1, attempt):
            wait = min(wait * 2, self.longest_wait)
        return wait


@dataclass(frozen=True, slots=True)
class Work:
    """What a job is given beside its arguments."""

    deployment: Deployment
    clock: Callable[[], datetime]
    stop: asyncio.Event

    @property
    def now(self) -> datetime:
        """The time, which goes on while a long job runs."""
        return self.clock()

    @property
    def stopping(self) -> bool:
        """Whether the worker is to stop: a job of several steps returns after the one it is in."""
        return self.stop.is_set()


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job."""

    kind: str
    body: Body
    every: timedelta | None
    """How long after its end it runs again; None for a job that runs when it was asked for."""
    retry: Retry

    @property
    def is_transaction(self) -> bool:
        """Whether the body is one transaction."""
        return not iscoroutinefunction(self.body)

    @property
    def description(self) -> str:
        """The body's docstring."""
        return self.body.__doc__ or ""


def job(kind: str, *, retry: Retry, every: timedelta | None = None) -> Callable[[Body], Job]:
    """Declare a job.

    Args:
        kind: its name in the queue, in logs and metrics; renaming it loses what is queued.
        retry: what happens when it fails. A regular job that has used up its attempts waits for its next time, with new
            ones; any other is kept as a dead letter.
        every: how long after its end it runs again. There is one such job in a deployment, however many workers there are.
    """

    def declare(body: Body) -> Job:
        return Job(kind, body, every, retry)

    return declare
