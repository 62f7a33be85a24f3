"""What runs in the children of a server: web workers, the job worker, and the preparation of a start.

Each is a function that multiprocessing can name, and opens for itself what it needs: nothing comes from the parent but settings.
"""

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from ecru.app import create_app, open_deployment
from ecru.aws.dispatch import SERVICES
from ecru.aws.model import load
from ecru.jobs.worker import work
from ecru.metadata import schema
from ecru.prepare import FAULTS, prepare
from ecru.settings import Settings
from ecru.telemetry import logs

_PR_SET_PDEATHSIG: Final = 1
_POKES: Final = 20
_POKE_SECONDS: Final = 0.25


def load_models() -> None:
    """Load the service models, which children that are forked afterwards share."""
    for service in SERVICES:
        load(service)


def load_app(settings: Settings, parent: int) -> ASGIApp:
    """Make the application of a web worker, which Granian then runs."""
    _begin(settings, parent)
    return _noticing_an_early_stop(create_app(settings))


def _noticing_an_early_stop(app: ASGIApp) -> ASGIApp:
    """Have a stop count that came between the lifespan's start and the first request.

    Granian lets the loop rest then. A signal that comes while it rests is seen by uvloop with the next one that comes while it
    runs, so there is to be a next one.
    """

    async def run_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        poking = asyncio.create_task(_poke())
        try:
            await app(scope, receive, send)
        finally:
            poking.cancel()

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return run_lifespan(scope, receive, send) if scope["type"] == "lifespan" else app(scope, receive, send)

    return answer


async def _poke() -> None:
    # Nobody else uses this signal, and its default is to do nothing.
    asyncio.get_running_loop().add_signal_handler(signal.SIGURG, lambda: None)
    for _ in range(_POKES):
        await asyncio.sleep(_POKE_SECONDS)
        signal.raise_signal(signal.SIGURG)


def run_preparation(settings: Settings, parent: int, answer: Connection) -> None:
    """Prepare a start; the answer is what it found, or a text that says what is in the way."""
    _begin(settings, parent)
    try:
        answer.send(asyncio.run(prepare(settings, now=datetime.now(UTC))))
    except FAULTS as fault:
        answer.send(str(fault))


def run_jobs(settings: Settings, parent: int) -> None:
    """Run jobs until SIGTERM."""
    _begin(settings, parent)
    # A Ctrl-C reaches every process of a terminal; the parent tells us when to stop, which is after the web workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_run_jobs(settings, [signal.SIGTERM]))


def run_jobs_alone(settings: Settings) -> None:
    """Run jobs until SIGTERM or SIGINT, beside a server that may be on another machine.

    Raises:
        FAULTS: what is in the way, in words for the operator.
    """
    asyncio.run(schema.require(settings.database))
    asyncio.run(_run_jobs(settings, [signal.SIGTERM, signal.SIGINT]))


async def _run_jobs(settings: Settings, stops: Sequence[signal.Signals]) -> None:
    stop = asyncio.Event()
    for each in stops:
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with open_deployment(settings) as deployment:
        await work(deployment, stop)


def _begin(settings: Settings, parent: int) -> None:
    _end_with(parent)
    # Forked processes have it from the parent, others do not.
    logs.configure(json_lines=settings.json_lines, level=settings.log_level)


def _end_with(parent: int) -> None:
    """Have this process killed when its parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), name="ecru-parent", daemon=True).start()
    if os.getppid() != parent:
        # It went before the kernel was asked.
        os._exit(1)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
