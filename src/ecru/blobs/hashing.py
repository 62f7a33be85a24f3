"""Hashes of content while it passes, in threads, and between the requests of one upload.

``hashlib`` lets other threads run while it works, so that hashing, writing and receiving go on side by side; one piece is
hashed while the next one is on its way.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ecru.oci.digest import Algorithm, Digest, Hasher, finish, new_hasher


@dataclass(frozen=True, slots=True)
class RunningHash:
    """The hash of the first bytes of an upload."""

    algorithm: Algorithm
    received_bytes: int
    hasher: Hasher

    @property
    def digest(self) -> Digest:
        """The digest of the bytes so far."""
        return finish(self.hasher)


class Hashing:
    """Hashes for the uploads of one process; those that were not touched for longest are forgotten first."""

    def __init__(self, *, threads: int = 4, kept: int = 1_024) -> None:
        """Hash in so many threads, and keep so many hashes between requests."""
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ecru-hash")
        self._kept = kept
        self._running: OrderedDict[str, RunningHash] = OrderedDict()

    def resume(self, upload_id: str, received_bytes: int, algorithm: Algorithm) -> RunningHash | None:
        """A copy of the hash of an upload's bytes so far; None when this process has not seen all of them."""
        if received_bytes == 0:
            return self.start(algorithm)
        known = self._running.get(upload_id)
        if known is None or known.received_bytes != received_bytes or known.algorithm != algorithm:
            return None
        return RunningHash(algorithm, received_bytes, known.hasher.copy())

    def start(self, algorithm: Algorithm) -> RunningHash:
        """The hash of nothing yet."""
        return RunningHash(algorithm, 0, new_hasher(algorithm))

    def keep(self, upload_id: str, running: RunningHash) -> None:
        """Keep a hash for the next request of its upload."""
        self._running[upload_id] = running
        self._running.move_to_end(upload_id)
        while len(self._running) > self._kept:
            self._running.popitem(last=False)

    def forget(self, upload_id: str) -> None:
        """Drop the hash of an upload that has ended."""
        self._running.pop(upload_id, None)

    async def passing(self, content: AsyncIterator[bytes], hashers: Sequence[Hasher]) -> AsyncIterator[bytes]:
        """Hand content on while it is hashed; when it ends, the hashers have seen all of it."""
        loop = asyncio.get_running_loop()
        ahead: asyncio.Future[None] | None = None
        async for piece in content:
            if not piece:
                continue
            if ahead is not None:
                await ahead
            ahead = loop.run_in_executor(self._threads, _update, hashers, piece)
            yield piece
        if ahead is not None:
            await ahead

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


def _update(hashers: Sequence[Hasher], piece: bytes) -> None:
    for hasher in hashers:
        hasher.update(piece)
