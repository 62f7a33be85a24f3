"""The queue: what is to be done later, committed together with what caused it.

How this works. A job is a row, and ``due_at`` its only clock. A job that waits may be claimed from then on; a claim moves it
to the end of a lease, and the worker moves it on while it works. So the job of a worker that died becomes due by itself.

::

    enqueue ──► waits ──── claim ────► leased ──┬── complete ──► gone, or waits for its next time
                  ▲                    │    ▲   │
                  │                    └keep┘   ├── retry ─────► waits, its attempts counted
                  └─────────────────────────────┘
                                                └── bury ──────► dead letter, kept

INVARIANT: a lease ends the run it was given for: only who holds it can keep, complete, retry or bury, so a worker that was
thought dead changes nothing when it comes back. What it has done by then is done twice, so jobs bear that.

INVARIANT: a run begins after the commit of all that asked for it. Asking for a keyed job that waits or runs locks its row
until the asker's commit: before that it cannot be claimed, and a run that was under way cannot end without seeing that it is
to run once more.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from ecru.metadata.database import Transaction, upsert
from ecru.metadata.tables import job

Arguments: TypeAlias = Mapping[str, int | str]
"""Ids of what a job is about, by the names of its parameters."""

_ALIVE = job.c.died_at.is_(None)
_KEY = ("kind", "unique_key")
_ERROR_LENGTH = 2_000
_SCHEDULED = ""
"""The key of the one job of a kind that runs regularly."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that is ours until the lease ends."""

    id: int
    kind: str
    arguments: Arguments
    attempts: int
    """Which attempt this is; the first is 1. A worker that died has used up one."""
    leased_by: str


def enqueue(
    db: Transaction, kind: str, arguments: Arguments | None = None, *, run_at: datetime, unique_key: str | None = None
) -> None:
    """Ask for a job at a time, in the transaction that makes it necessary.

    A living job of the kind with the same ``unique_key`` is that job: it waits for the earlier of both times; while it runs,
    it is noted to run once more; while it waits to be tried again, it is left alone. Jobs of one key never run at once.
    """
    values = {
        "kind": kind,
        "unique_key": unique_key,
        "arguments": json.dumps(dict(arguments or {})),
        "due_at": run_at,
        "attempts": 0,
    }
    if unique_key is None:
        db.execute(insert(job).values(values))
        return
    same = and_(job.c.kind == kind, job.c.unique_key == unique_key, _ALIVE)
    # The job may end between the two statements.
    while not upsert(db, job, values, conflict=_KEY, where=_ALIVE):
        statement = select(job.c.id, job.c.leased_by, job.c.attempts, job.c.due_at, job.c.again_at).where(same)
        row = db.execute(statement.with_for_update()).first()
        if row is None:
            continue
        job_id, leased_by, attempts, due_at, again_at = row
        if leased_by is not None:
            db.execute(update(job).where(job.c.id == job_id).values(again_at=min(run_at, again_at or run_at)))
        elif attempts == 0:
            db.execute(update(job).where(job.c.id == job_id).values(due_at=min(run_at, due_at)))
        return


def schedule(db: Transaction, kind: str, *, first_at: datetime) -> None:
    """See that the one job of a kind that runs regularly is there; if it is, its time stays."""
    values = {"kind": kind, "unique_key": _SCHEDULED, "arguments": "{}", "due_at": first_at, "attempts": 0}
    upsert(db, job, values, conflict=_KEY, where=_ALIVE)


def _due(kinds: Collection[str], now: datetime) -> ColumnElement[bool]:
    return and_(_ALIVE, job.c.due_at <= now, job.c.kind.in_(list(kinds)))


def count_due(db: Transaction, kinds: Collection[str], *, now: datetime) -> int:
    """How many jobs of these kinds could be claimed now."""
    return int(db.execute(select(func.count()).select_from(job).where(_due(kinds, now))).scalar_one())


def claim(db: Transaction, kinds: Collection[str], *, leased_by: str, now: datetime, until: datetime) -> Lease | None:
    """Take the job that is due for longest, of these kinds; None when there is none, or none that nobody else is taking.

    Args:
        db: the transaction.
        kinds: what the worker can do; after an upgrade others may be waiting for a newer one.
        leased_by: a name for this claim alone.
        now: a job is due from then on.
        until: when the lease ends.
    """
    statement = (
        select(job.c.id, job.c.kind, job.c.arguments, job.c.attempts)
        .where(_due(kinds, now))
        .order_by(job.c.due_at, job.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = db.execute(statement).first()
    if row is None:
        return None
    job_id, kind, arguments, attempts = row
    db.execute(
        update(job)
        .where(job.c.id == job_id)
        .values(due_at=until, leased_by=leased_by, attempts=attempts + 1, again_at=None)  # this run sees what was asked for
    )
    return Lease(job_id, kind, json.loads(arguments), attempts + 1, leased_by)


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(job.c.id == lease.id, job.c.leased_by == lease.leased_by)


def keep(db: Transaction, lease: Lease, *, until: datetime) -> bool:
    """Move the end of a lease on; False if it was lost."""
    return db.execute(update(job).where(_held(lease)).values(due_at=until)).rowcount == 1


def complete(db: Transaction, lease: Lease, *, next_at: datetime | None = None, error: str | None = None) -> bool:
    """End a run: the job goes, unless it is to run again; False if the lease was lost, and then nothing has changed.

    Args:
        db: the transaction.
        lease: the run.
        next_at: when it runs next, regularly; None when it does not. Who asked for it meanwhile may have it run earlier.
        error: why a run that will be repeated anyway has failed.
    """
    row = db.execute(select(job.c.again_at).where(_held(lease)).with_for_update()).first()
    if row is None:
        return False
    times = [at for at in (row[0], next_at) if at is not None]
    if times:
        _release(db, lease, due_at=min(times), attempts=0, error=error)
    else:
        db.execute(delete(job).where(_held(lease)))
    return True


def retry(db: Transaction, lease: Lease, *, run_at: datetime, error: str) -> bool:
    """End a run that has failed and is to be tried again; False if the lease was lost."""
    return _release(db, lease, due_at=run_at, attempts=lease.attempts, error=error)


def bury(db: Transaction, lease: Lease, *, now: datetime, error: str) -> bool:
    """Make a job a dead letter, which is kept; False if the lease was lost.

    If it was asked for once more meanwhile, that run takes place, with new attempts.
    """
    row = db.execute(select(job.c.again_at).where(_held(lease)).with_for_update()).first()
    if row is None:
        return False
    if row[0] is not None:
        return _release(db, lease, due_at=row[0], attempts=0, error=error)
    values = {"died_at": now, "leased_by": None, "last_error": error[:_ERROR_LENGTH]}
    return db.execute(update(job).where(_held(lease)).values(values)).rowcount == 1


def _release(db: Transaction, lease: Lease, *, due_at: datetime, attempts: int, error: str | None) -> bool:
    values = {
        "due_at": due_at,
        "leased_by": None,
        "again_at": None,
        "attempts": attempts,
        "last_error": None if error is None else error[:_ERROR_LENGTH],
    }
    return db.execute(update(job).where(_held(lease)).values(values)).rowcount == 1
