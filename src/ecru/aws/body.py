"""Bodies of the AWS door: held whole, since a signature covers them, so that their sizes and their sum are bounded."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from ecru.aws.faults import RequestTimeout, RequestTooLarge

SMALL_BYTES = 2**20
"""Bodies up to this size do not wait for others."""

_SECONDS = 300


class Bodies:
    """The bodies that are held at one time: large ones wait until there is room for them."""

    def __init__(self, room_bytes: int) -> None:
        """Hold large bodies of at most so many bytes together."""
        self._room = room_bytes
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def receive(self, request: Request, limit_bytes: int) -> AsyncIterator[tuple[bytearray, str]]:
        """Read a body and its SHA-256; its room is taken until the end of the context.

        Raises:
            RequestTooLarge: it is above the limit; the rest of it was not read.
            RequestTimeout: it took too long to arrive.
            ClientDisconnect: the client left.
        """
        size = _content_length(request)
        if size is not None and size > limit_bytes:
            raise RequestTooLarge(limit_bytes)
        expected = limit_bytes if size is None else size
        async with self._taken(expected if expected > SMALL_BYTES else 0):
            try:
                async with asyncio.timeout(_SECONDS):
                    received = await _read(request, limit_bytes)
            except TimeoutError:
                raise RequestTimeout(_SECONDS) from None
            yield received

    @asynccontextmanager
    async def _taken(self, size: int) -> AsyncIterator[None]:
        if size == 0:
            yield
            return
        async with self._changed:
            await self._changed.wait_for(lambda: self._room >= size)
            self._room -= size
        try:
            yield
        finally:
            async with self._changed:
                self._room += size
                self._changed.notify_all()


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


async def _read(request: Request, limit_bytes: int) -> tuple[bytearray, str]:
    body, hasher = bytearray(), hashlib.sha256()
    async for piece in request.stream():
        body += piece
        if len(body) > limit_bytes:
            raise RequestTooLarge(limit_bytes)
        hasher.update(piece)
    return body, hasher.hexdigest()
