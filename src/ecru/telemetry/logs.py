"""Log lines: events as they happen, and requests from a queue.

Events go through the standard ``logging``, so that libraries' lines look like ours. Requests are too many for that: answering one
appends a record, and a thread writes what has gathered a few times a second. A killed process loses the last of them; nothing that
was promised hangs on these lines.
"""

import json
import logging.config
import sys
import threading
from collections import deque
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self, TextIO

import structlog

from ecru.telemetry.exchange import Exchange, current_exchange

_FLUSH_SECONDS: Final = 0.2
_MOST_WAITING: Final = 100_000

_QUIET: Final = ("_granian", "alembic", "asyncio", "httpcore", "httpx", "botocore")
"""Libraries whose own account of their work interests only who debugs."""


def configure(*, json_lines: bool, level: str) -> dict[str, Any]:
    """Set up logging for this process.

    Returns:
        The configuration of the standard ``logging``, for whoever sets it up again in a child.
    """
    shared: list[structlog.typing.Processor] = [
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    rendered: list[structlog.typing.Processor]
    if json_lines:
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    else:
        plain = structlog.dev.plain_traceback
        rendered = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time", exception_formatter=plain)]
    configuration = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {name: {"level": "DEBUG" if level == "debug" else "WARNING"} for name in _QUIET},
    }
    logging.config.dictConfig(configuration)
    logging.captureWarnings(capture=True)
    return configuration


def _add_request_id(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    exchange = current_exchange()
    if exchange is not None:
        event["request_id"] = exchange.request_id
    return event


class RequestLog:
    """Writes one line for each request, from a thread of its own."""

    def __init__(self, render: Callable[[Exchange], str], stream: TextIO) -> None:
        self._render = render
        self._stream = stream
        self._waiting: deque[Exchange] = deque()
        self._lost = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write_often, name="ecru-request-log", daemon=True)

    def add(self, exchange: Exchange) -> None:
        """Queue a request that was answered; when writing cannot keep up, it is counted as lost instead."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(exchange)
        else:
            self._lost += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def _write_often(self) -> None:
        while not self._closed.wait(_FLUSH_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            structlog.get_logger(__name__).warning("requests not logged", count=lost)
        lines = [self._render(self._waiting.popleft()) for _ in range(len(self._waiting))]
        if lines:
            try:
                self._stream.write("\n".join([*lines, ""]))
                self._stream.flush()
            except (OSError, ValueError):
                # The reader of our output is gone; answering requests matters more.
                self._lost += len(lines)


def request_as_json(exchange: Exchange) -> str:
    """Write a request down as a line of JSON."""
    return json.dumps({"time": _time(exchange), "level": "info", "event": "request", **_facts(exchange)}, ensure_ascii=True)


def request_for_people(exchange: Exchange) -> str:
    """Write a request down as a line to read."""
    facts = _facts(exchange)
    asked = f"{facts.pop('method')} {facts.pop('path')}"
    status = facts.pop("status")
    rest = " ".join(f"{name}={_quoted(value)}" for name, value in facts.items())
    return f"{_time(exchange)} [request  ] {status} {_quoted(asked)} {rest}"


def _quoted(value: object) -> str:
    # What a client sends must not be able to write a line or a terminal's control sequence.
    text = str(value)
    return text if text.isascii() and text.isprintable() else json.dumps(text)


def _time(exchange: Exchange) -> str:
    whole = int(exchange.began_at)
    return f"{_second(whole)}.{int((exchange.began_at - whole) * 1e6):06d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    # Thousands of lines share one, and writing it costs as much as a quarter of a line.
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _facts(exchange: Exchange) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "request_id": exchange.request_id,
        "client": exchange.client,
        "method": exchange.method,
        "path": exchange.path,
        "route": exchange.route,
        "status": exchange.status,
        "milliseconds": round(exchange.seconds * 1000, 2),
        "received_bytes": exchange.received_bytes,
        "offered_bytes": exchange.offered_bytes,
    }
    if exchange.error is not None:
        facts["error"] = exchange.error
    if exchange.principal is not None:
        facts["principal"] = exchange.principal
    if exchange.user_agent is not None:
        facts["user_agent"] = exchange.user_agent
    return facts
