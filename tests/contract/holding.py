"""Transactions that stay open in the middle, to see what others do meanwhile; on PostgreSQL, where there can be several."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import text
from sqlalchemy.util import await_only

from ecru.metadata.database import Database, Transaction

P = ParamSpec("P")
T = TypeVar("T")

POLL_SECONDS = 0.01


class Held:
    """A transaction that has done its work and not committed yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reached = asyncio.Event()
        self._let_go = asyncio.Event()
        self.result: Any = None

    def hold(self) -> None:
        """Stay where it is; called from within the transaction."""
        self._reached.set()
        await_only(self._let_go.wait())

    async def until_reached(self, task: asyncio.Task[Any]) -> None:
        """Return when it has done its work."""
        reaching = asyncio.create_task(self._reached.wait())
        await asyncio.wait({task, reaching}, return_when=asyncio.FIRST_COMPLETED)
        if not self._reached.is_set():
            reaching.cancel()
            task.result()
            raise AssertionError("it ended without a transaction")

    async def until_somebody_waits(self) -> None:
        """Return when some transaction waits for a lock of another."""

        def waiting(db: Transaction) -> bool:
            return bool(db.execute(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")).scalar())

        async with asyncio.timeout(20):
            while not await self._database.read(waiting):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(POLL_SECONDS)

    def let_go(self) -> None:
        """Have it commit."""
        self._let_go.set()


class HoldingDatabase:
    """A database whose changes stay open until they are let go; reads are those of the other one."""

    def __init__(self, database: Database, held: Held) -> None:
        self._database = database
        self._held = held

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it is the other one's
        return getattr(self._database, name)

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change and hold it."""

        def work(db: Transaction) -> T:
            result = fn(db, *args, **kwargs)
            self._held.result = result
            self._held.hold()
            return result

        return await self._database.write(work)


@asynccontextmanager
async def holding(
    database: Database, fn: Callable[Concatenate[Transaction, P], Any], *args: P.args, **kwargs: P.kwargs
) -> AsyncIterator[Held]:
    """Keep the transaction of a change open while the block runs; it commits at the end of the block."""
    held = Held(database)
    task = asyncio.create_task(HoldingDatabase(database, held).write(fn, *args, **kwargs))
    try:
        await held.until_reached(task)
        yield held
    finally:
        held.let_go()
        await task
