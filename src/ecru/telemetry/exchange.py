"""One request and its answer, as they are watched from outside the doors.

A door that knows more writes it down: ``exchange_of(scope).route = "ecr:DescribeImages"``.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Final
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLIENT_LEFT: Final = 499
"""Written down for a request that got no answer because its client went away; nginx's number."""

_KEY: Final = "ecru.exchange"

log = structlog.get_logger(__name__)

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(slots=True, eq=False)
class Exchange:
    """What is known of a request while it is being answered, and afterwards."""

    request_id: str
    method: str
    path: str
    """Without the query, which may hold signatures."""
    client: str
    user_agent: str | None
    began_at: float
    """Seconds since the epoch."""
    route: str = "none"
    """Which operation or route it is: one of few, since metrics are kept for each."""
    status: int = 0
    principal: str | None = None
    error: str | None = None
    """The code of the error that was answered."""
    seconds: float = 0.0
    received_bytes: int = 0
    offered_bytes: int = 0


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def current_exchange() -> Exchange | None:
    """The exchange that the running code belongs to; None outside requests."""
    return _current.get()


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a request that came through ``Observed``."""
    exchange: Exchange = scope[_KEY]
    return exchange


def request_ids() -> Iterator[str]:
    """Give ids in the form of a UUID, as AWS's are: half of it random and this process's own, the rest counting."""
    # Reading randomness for each request would cost more than all else that is done here.
    prefix = str(uuid4())[:23]
    return (f"{prefix}-{number:012x}" for number in count(1))


class Observed:
    """Gives every request an id, which its answer carries, and hands on what was seen of it.

    It is called for each message of each request, so what it does is little.
    """

    def __init__(self, app: ASGIApp, done: Callable[[Exchange], None]) -> None:
        """Watch an application.

        Args:
            app: what answers.
            done: is given each exchange at its end; must not wait.
        """
        self._app = app
        self._done = done
        self._ids = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what is none goes through as it is."""
        if scope["type"] == "http":
            await self._observe(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _observe(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        exchange = scope[_KEY] = Exchange(
            next(self._ids), scope["method"], scope["path"], client[0] if client else "", _user_agent(scope), time.time()
        )
        request_id = (b"x-request-id", exchange.request_id.encode())
        scope.setdefault("state", {})["request_id"] = exchange.request_id

        headers: Headers = ()

        async def receive_counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                exchange.received_bytes += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            nonlocal headers
            kind = message["type"]
            if kind == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = headers = [*message["headers"], request_id]
            elif kind == "http.response.body":
                exchange.offered_bytes += len(message.get("body", b""))
            elif kind == "http.response.pathsend":
                # The server reads the file itself; the header says how long it is.
                exchange.offered_bytes += _content_length(headers)
            await send(message)

        began = time.perf_counter()
        token = _current.set(exchange)
        try:
            await self._app(scope, receive_counted, send_counted)
        except Exception:
            log.exception("request failed", method=exchange.method, path=exchange.path)
            if exchange.status:
                # The answer has begun: only breaking it off tells the client that it is not whole.
                raise
            await _answer_fault(send_counted)
        finally:
            exchange.seconds = time.perf_counter() - began
            exchange.status = exchange.status or CLIENT_LEFT
            self._done(exchange)
            _current.reset(token)


def _user_agent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent: str = value.decode("latin-1")
            return agent
    return None


def _content_length(headers: Headers) -> int:
    return next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)


async def _answer_fault(send: Send) -> None:
    body = b'{"message":"The server met an unexpected condition."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
