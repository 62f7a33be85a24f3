"""Times of pulls: collected in memory, written in batches.

A pull must not wait for a write. ECR refreshes the time at least once in 24 hours; ours is written within seconds, and
for one image at most once in ten minutes by each process. What a killed process had not written is lost: a pull time is
an indication, not an acknowledged write.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog

from ecru.metadata import images
from ecru.metadata.database import Database
from ecru.metadata.errors import DatabaseFull, DatabaseUnavailable

_EVERY = timedelta(minutes=10)
_SECONDS_BETWEEN_WRITES = 5.0
_REMEMBERED = 100_000

log = structlog.get_logger(__name__)


class PullTimes:
    """Pull times that are still to be written."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: dict[int, datetime] = {}
        self._noted: OrderedDict[int, datetime] = OrderedDict()

    def note(self, image_id: int, at: datetime) -> None:
        """Take note of a pull."""
        last = self._noted.get(image_id)
        if last is not None and at - last < _EVERY:
            return
        self._noted[image_id] = self._waiting[image_id] = at
        self._noted.move_to_end(image_id)
        if len(self._noted) > _REMEMBERED:
            self._noted.popitem(last=False)

    async def write(self, database: Database) -> None:
        """Write what is waiting."""
        if self._waiting:
            batch, self._waiting = self._waiting, {}
            await database.write(images.record_pulls, batch)

    @asynccontextmanager
    async def being_written(self, database: Database) -> AsyncIterator[None]:
        """Write every few seconds, and what is left at the end."""
        writing = asyncio.create_task(self._keep_writing(database))
        try:
            yield
        finally:
            writing.cancel()
            await self.write(database)

    async def _keep_writing(self, database: Database) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_WRITES)
            try:
                await self.write(database)
            except (DatabaseFull, DatabaseUnavailable) as fault:
                log.warning("pull times were not written", reason=str(fault))
