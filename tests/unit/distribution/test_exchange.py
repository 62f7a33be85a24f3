"""Bodies of requests, as the server hands them on."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from ecru.distribution import exchange
from ecru.distribution.exchange import Receive, Request
from ecru.errors import InvalidManifestSyntax, ManifestTooLarge

PIECE = {"type": "http.request", "body": b"piece", "more_body": True}
END = {"type": "http.request", "body": b"end"}
LEFT = {"type": "http.disconnect"}


def a_request(*messages: MutableMapping[str, Any], **headers: str) -> tuple[Request, Callable[[], int]]:
    """A request whose body arrives so, and how to ask how many messages of it are left."""
    left = list(messages)

    async def receive() -> MutableMapping[str, Any]:
        return left.pop(0)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    arriving: Receive = receive
    return Request({"type": "http", "method": "PUT", "path": "/v2/", "headers": raw}, arriving), lambda: len(left)


@pytest.mark.anyio
async def test_a_body_is_read_to_its_end() -> None:
    request, _ = a_request(PIECE, PIECE, END)

    assert await request.read(100) == b"piecepieceend"


@pytest.mark.anyio
async def test_a_body_that_is_broken_off_is_no_manifest() -> None:
    request, _ = a_request(PIECE, LEFT)

    with pytest.raises(InvalidManifestSyntax, match="broken off"):
        await request.read(100)


@pytest.mark.anyio
async def test_a_body_above_its_limit_is_not_read_on() -> None:
    request, left = a_request(PIECE, PIECE, END)

    with pytest.raises(ManifestTooLarge):
        await request.read(7)

    assert left() == 1


@pytest.mark.anyio
async def test_a_client_that_says_nothing_for_long_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_SILENCE_SECONDS", 0.01)
    pieces = [PIECE]

    async def receive() -> MutableMapping[str, Any]:
        if not pieces:
            await asyncio.Event().wait()
        return pieces.pop()

    request = Request({"type": "http", "method": "PUT", "path": "/v2/", "headers": []}, receive)

    assert [piece async for piece in request.content()] == [b"piece"]
    with pytest.raises(InvalidManifestSyntax, match="broken off"):
        await request.read(100)


@pytest.mark.anyio
async def test_what_has_arrived_of_a_blob_is_taken() -> None:
    request, _ = a_request(PIECE, LEFT)

    assert [piece async for piece in request.content()] == [b"piece"]


@pytest.mark.anyio
async def test_the_rest_of_a_refused_body_is_read() -> None:
    request, left = a_request(PIECE, PIECE, END)

    await request.drain()

    assert left() == 0


@pytest.mark.anyio
async def test_a_client_that_waits_to_be_told_to_continue_is_not_told_when_it_is_refused() -> None:
    """To read is what makes the server say 100 (RFC 9110, section 10.1.1)."""
    request, left = a_request(PIECE, END, expect="100-Continue")

    await request.drain()

    assert left() == 2
