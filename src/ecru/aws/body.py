"""Bodies of the AWS door: held whole, since a signature covers them, so that their sizes and their sum are bounded."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from ecru.aws.faults import RequestTimeout, RequestTooLarge

SMALL_BYTES = 2**20
"""Bodies up to this size do not wait for others."""

_SECONDS = 300
_DRAIN_BYTES = 28 * 2**20
_DRAIN_SECONDS = 10


class Incoming:
    """A body as it arrives."""

    def __init__(self, receive: Receive, content_length: str | None) -> None:
        """Read from ASGI's ``receive``; the length is what the header says, if there is one."""
        self._receive = receive
        self._ended = False
        known = content_length is not None and content_length.isascii() and content_length.isdigit()
        self.size_bytes = int(content_length or 0) if known else None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give what has not been read yet.

        Raises:
            ClientDisconnect: the client left.
        """
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            yield message.get("body", b"")

    async def drain(self) -> None:
        """Read what is left of it, so that a client that is still sending reads our answer and not a reset."""
        left = _DRAIN_BYTES
        if self._ended or (self.size_bytes or 0) > left:
            return
        try:
            async with asyncio.timeout(_DRAIN_SECONDS), aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    left -= len(piece)
                    if left < 0:
                        return
        except TimeoutError:
            return


class Bodies:
    """The bodies that are held at one time: large ones wait until there is room for them."""

    def __init__(self, room_bytes: int) -> None:
        """Hold large bodies of at most so many bytes together."""
        self._room = room_bytes
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def receive(self, incoming: Incoming, limit_bytes: int) -> AsyncIterator[tuple[bytearray, str]]:
        """Read a body and its SHA-256; its room is taken until the end of the context.

        Raises:
            RequestTooLarge: it is above the limit; the rest of it was not read.
            RequestTimeout: it took too long to arrive.
            ClientDisconnect: the client left.
        """
        size = incoming.size_bytes
        if size is not None and size > limit_bytes:
            raise RequestTooLarge(limit_bytes)
        expected = limit_bytes if size is None else size
        async with self._taken(expected if expected > SMALL_BYTES else 0):
            try:
                async with asyncio.timeout(_SECONDS):
                    received = await _read(incoming, limit_bytes)
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


async def _read(incoming: Incoming, limit_bytes: int) -> tuple[bytearray, str]:
    body, hasher = bytearray(), hashlib.sha256()
    async with aclosing(incoming.pieces()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit_bytes:
                raise RequestTooLarge(limit_bytes)
            hasher.update(piece)
    return body, hasher.hexdigest()
