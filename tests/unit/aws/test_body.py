"""Bodies as they arrive: bounded in size, in time, and in their sum."""

import asyncio
import hashlib
from collections.abc import Iterable

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from ecru.aws import body
from ecru.aws.body import Bodies, Incoming
from ecru.aws.faults import RequestTimeout, RequestTooLarge

pytestmark = pytest.mark.anyio

MEBIBYTE = 2**20


def incoming(pieces: Iterable[bytes], *, length: str | None = None, ends: bool = True) -> Incoming:
    """A body of these pieces; one that does not end is cut off by a client that leaves."""
    left = list(pieces)

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left) or not ends}

    return Incoming(receive, length)


async def read(given: Incoming, limit_bytes: int = 10) -> tuple[bytes, str]:
    async with Bodies(100 * MEBIBYTE).receive(given, limit_bytes) as (content, digest):
        return bytes(content), digest


@pytest.mark.parametrize("pieces", [[b""], [b"abc"], [b"a", b"", b"bc"], [b"0123456789"]])
async def test_a_body_is_whole_and_hashed(pieces: list[bytes]) -> None:
    content = b"".join(pieces)

    assert await read(incoming(pieces)) == (content, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("length", [None, "11", "1", "-1", "x", "1" * 30])
async def test_a_body_above_its_limit_is_refused_whatever_it_says_of_itself(length: str | None) -> None:
    with pytest.raises(RequestTooLarge):
        await read(incoming([b"012345", b"678910"], length=length))


async def test_what_says_that_it_is_too_large_is_not_read() -> None:
    given = incoming([b"x"], length="11")
    with pytest.raises(RequestTooLarge):
        await read(given)

    assert [piece async for piece in given.pieces()] == [b"x"]


async def test_a_client_that_leaves_ends_it() -> None:
    with pytest.raises(ClientDisconnect):
        await read(incoming([b"abc"], ends=False))


async def test_a_body_that_does_not_arrive_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_SECONDS", 0.01)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RequestTimeout):
        await read(Incoming(receive, None))


async def test_large_bodies_wait_for_room_and_small_ones_do_not() -> None:
    bodies, large, order = Bodies(3 * MEBIBYTE), b"x" * (2 * MEBIBYTE), list[str]()
    first_may_end = asyncio.Event()

    async def hold(name: str, content: bytes, until: asyncio.Event | None = None) -> None:
        async with bodies.receive(incoming([content], length=str(len(content))), 4 * MEBIBYTE):
            order.append(name)
            if until is not None:
                await until.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold("first", large, first_may_end))
        await asyncio.sleep(0)
        tasks.create_task(hold("second", large))
        small = tasks.create_task(hold("small", b"x"))
        await small
        assert order == ["first", "small"]
        first_may_end.set()

    assert order == ["first", "small", "second"]


async def test_room_is_given_back_when_a_body_is_refused() -> None:
    bodies = Bodies(2 * MEBIBYTE)
    for _ in range(3):
        with pytest.raises(ClientDisconnect):
            async with bodies.receive(incoming([b"x"], length=str(2 * MEBIBYTE), ends=False), 2 * MEBIBYTE):
                pass

    async with asyncio.timeout(5), bodies.receive(incoming([b"x"], length=str(2 * MEBIBYTE)), 2 * MEBIBYTE) as (content, _):
        assert content == b"x"


async def test_what_is_left_of_a_body_is_drained_once() -> None:
    given = incoming([b"abc", b"def"])
    await given.drain()
    await given.drain()

    assert [piece async for piece in given.pieces()] == []
