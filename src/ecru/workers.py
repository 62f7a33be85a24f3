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
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Final

from starlette.types import ASGIApp

from ecru.app import create_app, open_deployment
from ecru.prepare import FAULTS, prepare
from ecru.settings import Settings

_PR_SET_PDEATHSIG: Final = 1


def load_app(settings: Settings, parent: int) -> ASGIApp:
    """Make the application of a web worker, which Granian then runs."""
    _end_with(parent)
    return create_app(settings)


def run_preparation(settings: Settings, parent: int, answer: Connection) -> None:
    """Prepare a start; the answer is what it found, or a text that says what is in the way."""
    _end_with(parent)
    try:
        answer.send(asyncio.run(prepare(settings, now=datetime.now(UTC))))
    except FAULTS as fault:
        answer.send(str(fault))


def run_jobs(settings: Settings, parent: int) -> None:
    """Run jobs until SIGTERM."""
    _end_with(parent)
    # A Ctrl-C reaches every process of a terminal; the parent tells us when to stop, which is after the web workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with open_deployment(settings):
        await stopping.wait()


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
