"""A request of ``/v2/`` and its answer, close to ASGI: bytes flow through here."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from ecru.call import Endpoint
from ecru.errors import InvalidManifestSyntax, InvalidParameter, ManifestTooLarge

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_QUERY_FIELDS_LIMIT = 100
_DRAIN_LIMIT_BYTES = 8 * 1024 * 1024
_DRAIN_SECONDS = 5.0
_SILENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class File:
    """A whole file as a body, handed to the server's own file sending."""

    path: Path


Body: TypeAlias = bytes | File | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body; a body that is not in memory needs its ``Content-Length`` among the headers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""


class Request:
    """A request whose body has not been read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Wrap an ASGI request."""
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._receive = receive
        self._body_begun = False
        self._body_ended = False
        self._client_left = False

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name; repeated ones are joined by commas."""
        found: dict[str, str] = {}
        for raw_name, raw_value in self.scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    @cached_property
    def query(self) -> Mapping[str, Sequence[str]]:
        """Values of the query, by name.

        Raises:
            InvalidParameter: there are too many, or one holds U+0000, which no column of text does.
        """
        text = self.scope["query_string"].decode("latin-1")
        found: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_QUERY_FIELDS_LIMIT)
        except ValueError:
            raise InvalidParameter("query", f"must have at most {_QUERY_FIELDS_LIMIT} fields") from None
        for name, value in pairs:
            if "\0" in value:
                raise InvalidParameter("query", "must not contain the character U+0000")
            found.setdefault(name, []).append(value)
        return found

    def first(self, name: str) -> str | None:
        """The first value of a query parameter; None without one."""
        values = self.query.get(name)
        return values[0] if values else None

    @property
    def endpoint(self) -> Endpoint:
        """How the client reached us; proxies that are trusted have been heard already."""
        return Endpoint(self.scope["scheme"], self.headers.get("host", "localhost"))

    @property
    def content_length(self) -> int | None:
        """What ``Content-Length`` says; None when the body is sent in chunks."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def may_have_body(self) -> bool:
        """Whether a body may follow; HTTP/2 says so only by sending one."""
        if self.content_length is not None:
            return self.content_length > 0
        return "transfer-encoding" in self.headers or not str(self.scope["http_version"]).startswith("1")

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. A client that leaves, or is silent for long, ends it: what has arrived is all there will be."""
        while not self._body_ended:
            self._body_begun = True
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                message = {"type": "http.disconnect"}
            if message["type"] == "http.disconnect":
                self._body_ended = self._client_left = True
                return
            self._body_ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body of a manifest.

        Raises:
            ManifestTooLarge: it is above the limit; the rest of it was not read.
            InvalidManifestSyntax: the client left before its end; what has arrived may look whole.
        """
        if (self.content_length or 0) > limit_bytes:
            raise ManifestTooLarge(limit_bytes)
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.content()) as content:
            async for piece in content:
                size += len(piece)
                if size > limit_bytes:
                    raise ManifestTooLarge(limit_bytes)
                pieces.append(piece)
        if self._client_left:
            raise InvalidManifestSyntax("the body was broken off")
        return b"".join(pieces)

    async def drain(self) -> None:
        """Read what is left of a small body, so that a client that is still sending reads our answer and not a reset.

        A client that waits to be told to continue is not sending, and to read would tell it (RFC 9110, section 10.1.1).
        """
        left = _DRAIN_LIMIT_BYTES
        waits = not self._body_begun and self.headers.get("expect", "").lower() == "100-continue"
        if self._body_ended or waits or (self.content_length or 0) > left:
            return
        try:
            async with asyncio.timeout(_DRAIN_SECONDS), aclosing(self.content()) as content:
                async for piece in content:
                    left -= len(piece)
                    if left < 0:
                        return
        except TimeoutError:
            return

    async def gone(self) -> None:
        """Wait until the client has left; the body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def as_json(status: int, document: object, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON document."""
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(document).encode())


async def send_answer(request: Request, send: Send, answer: Answer) -> None:
    """Send an answer; to ``HEAD`` the headers only."""
    headers = {"Docker-Distribution-Api-Version": "registry/2.0", **answer.headers}
    if isinstance(answer.body, bytes):
        headers.setdefault("Content-Length", str(len(answer.body)))
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if request.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    elif isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body})
    elif isinstance(answer.body, File):
        await send({"type": "http.response.pathsend", "path": str(answer.body.path)})
    else:
        await _send_pieces(request, send, answer.body)


async def _send_pieces(request: Request, send: Send, pieces: AsyncIterator[bytes]) -> None:
    """Send a body in pieces and stop when the client has left, which ``send`` does not tell under Granian."""
    watcher = asyncio.create_task(request.gone())
    try:
        async for piece in pieces:
            if watcher.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        watcher.cancel()
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
