"""The processes of a server, and how they end.

::

    parent ─┬─ web worker    Granian: accepts connections on the same port as its siblings, answers requests
            ├─ web worker
            └─ job worker    what happens later: expiry, collection

The parent imports everything, so that children forked from it share the memory, and opens nothing: an engine, a thread or a socket
of the parent would be there in each child, in whatever state it was. What must be opened before the start (migrations, the first
key) happens in a child that ends.

INVARIANT: no child outlives the parent. Each asks the kernel to be killed with it (Linux), since workers that go on answering would
share the port, and one day the database, with those of the next start.

INVARIANT: one server per data folder. The lock is held by every process of a server, so it is free when the last one has ended.

A signal: SIGTERM and SIGINT finish the accepted requests and stop; SIGHUP replaces the web workers one by one, which reads the TLS
files again. Measurements and traps: ADR 4.
"""

import errno
import fcntl
import gc
import math
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from ecru.private_files import make_private_folder
from ecru.settings import MetricsAccess, Settings
from ecru.telemetry import logs
from ecru.telemetry.gathering import folder_in_memory, gather_in, stop_gathering

if TYPE_CHECKING:
    from ecru.prepare import Preparation

Context = ForkContext | SpawnContext

FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 60.0
IDLE_MILLISECONDS: Final = 150_000
"""How long a connection may wait for its next request. Clients written in Go keep theirs for 90 seconds, and meet one that
was closed under them as a failed push, since they do not send a POST again."""
STOPS: Final = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger(__name__)


class CannotStart(Exception):
    """Something is in the way of a start; the message names it and the remedy."""


def serve(settings: Settings, *, announce: "Callable[[Preparation], None]") -> None:
    """Run a server until it is told to stop.

    Args:
        settings: as the operator has them.
        announce: is told what this start has made, before the first request is answered.

    Raises:
        CannotStart: something is in the way; nothing was started.
        SystemExit: web workers kept failing, which their log lines explain.
    """
    logging = logs.configure(json_lines=settings.json_lines, level=settings.log_level)
    context = _how_children_begin()
    os.register_at_fork(before=_hold_signals, after_in_parent=_take_signals, after_in_child=_take_signals_as_a_child)
    with _only_server_of(settings.data):
        address = _free_address(settings.host, settings.port)
        tls = _readable_tls(settings)
        if settings.metrics is not MetricsAccess.OFF:
            gather_in(folder_in_memory(settings.data) or settings.data / "run" / "metrics")
        # Brings in all that the children need, prometheus_client included, which decides there and then where it counts.
        from ecru import workers  # noqa: PLC0415

        workers.load_models()
        announce(_run_to_end(context, workers.run_preparation, settings))
        job_worker = _JobWorker(context, partial(workers.run_jobs, settings, os.getpid()), settings.shutdown_timeout)
        server = MPServer(
            "ecru",
            address,
            settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            loop=Loops.uvloop,
            http=HTTPModes.auto,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE_MILLISECONDS),
            websockets=False,
            log_level=LogLevels.warning,
            log_dictconfig=logging,
            respawn_failed_workers=True,
            workers_kill_timeout=math.ceil(settings.shutdown_timeout.total_seconds()),
            **tls,
        )
        server.on_startup(partial(_begin, server, job_worker, settings))
        server.on_shutdown(job_worker.stop)
        # What is alive now stays so; a collection in a child would otherwise write to, and so copy, every page of it.
        gc.collect()
        gc.freeze()
        server.serve(target_loader=partial(workers.load_app, settings, os.getpid()), wrap_loader=False)
        stop_gathering()
        log.info("stopped")


def _begin(server: MPServer, job_worker: "_JobWorker", settings: Settings) -> None:
    """Run by Granian once it has set its signal handlers, before it starts the web workers."""
    if sys.stdin.isatty():
        # The terminal was closed: nobody is there any more to whom this server belongs.
        signal.signal(signal.SIGHUP, server.signal_handler_interrupt)
    job_worker.start()
    log.info(
        "listening", url=settings.endpoint, workers=settings.workers, data=str(settings.data), database=settings.database.shown
    )


def _how_children_begin() -> Context:
    # Forked, children share what the parent has imported; macOS' own libraries do not survive a fork.
    context = multiprocessing.get_context("fork") if sys.platform == "linux" else multiprocessing.get_context("spawn")
    # Granian asks for the default.
    multiprocessing.set_start_method(context.get_start_method(), force=True)
    return context


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def _take_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _take_signals_as_a_child() -> None:
    """Have a stop end a child that has only begun.

    It inherits the parent's handlers, which would tell the child's copy of the parent, and nothing would end. What was sent since
    the fork was held, and counts now.
    """
    for stop in STOPS:
        signal.signal(stop, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _take_signals()


# --- what is in the way of a start ----------------------------------------------------------------------------------


@contextmanager
def _only_server_of(data: Path) -> Iterator[None]:
    """Hold the data folder for this server and its children.

    Raises:
        CannotStart: the folder cannot be written, or another server has it.
    """
    try:
        make_private_folder(data)
        lock = (data / "server.lock").open("a+", encoding="utf-8")
    except OSError as failed:
        raise CannotStart(f"the data folder {data} cannot be used: {failed.strerror}; --data names another one") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise CannotStart(f"another server (process {holder}) uses the data folder {data}; --data names another one") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _free_address(host: str, port: int) -> str:
    """Find the address a host name stands for, and see that nobody listens there.

    Web workers share their port, so binding it would succeed beside another server's workers too: ask in a way that does not share.

    Raises:
        CannotStart: there is no such address, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as failed:
        raise CannotStart(f"there is no address for the host {host}: {failed.strerror}") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as failed:
            if failed.errno == errno.EADDRINUSE:
                reason = f"port {port} of {host} is taken; --port names another one"
            else:
                reason = f"cannot listen on port {port} of {host}: {failed.strerror}"
            raise CannotStart(reason) from None
    return str(address[0])


def _readable_tls(settings: Settings) -> dict[str, Any]:
    """Have TLS files read once before workers need them.

    Raises:
        CannotStart: they cannot be read, or do not belong together.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as failed:
        raise CannotStart(
            f"TLS cannot be used with {settings.tls_certificate} and {settings.tls_key}: {failed.strerror or failed}"
        ) from None
    return {"ssl_cert": settings.tls_certificate, "ssl_key": settings.tls_key, "ssl_protocol_min": SSLProtocols.tls12}


# --- children -------------------------------------------------------------------------------------------------------


def _run_to_end(context: Context, target: Callable[..., None], settings: Settings) -> "Preparation":
    """Run what must be done before the start in a process of its own, which takes every connection and thread with it.

    Raises:
        CannotStart: it failed.
    """
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=target, args=(settings, os.getpid(), theirs), name="ecru-prepare")
    child.start()
    theirs.close()
    try:
        outcome: Preparation | str = ours.recv()
    except EOFError:
        outcome = "the start could not be prepared; the lines above say why"
    child.join()
    if isinstance(outcome, str):
        raise CannotStart(outcome)
    return outcome


class _JobWorker:
    """Keeps one job worker running, from a thread that starts it again when it ends.

    The first one is forked before there is any other child. Its successors begin as new programs, which take longer and share no
    memory: a fork in this thread, while Granian forks a web worker in the main one, would inherit the pipe by which Granian learns
    of that worker's end, and hold it open.
    """

    def __init__(self, context: Context, target: Callable[[], None], shutdown_timeout: timedelta) -> None:
        self._target = target
        self._shutdown_timeout = shutdown_timeout
        self._process: BaseProcess = context.Process(target=target, name="ecru-jobs")
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        # The kernel watches the thread that started a child, not the process: this one lives as long as the parent.
        self._thread = threading.Thread(target=self._replace, name="ecru-job-worker", daemon=True)

    def start(self) -> None:
        """Start it; must be called in the main thread, before Granian starts the web workers."""
        self._process.start()
        self._thread.start()

    def stop(self) -> None:
        """Have it finish what it does, or end it when that takes too long."""
        with self._starting:
            self._stopping.set()
            self._process.terminate()
        self._thread.join(self._shutdown_timeout.total_seconds())
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join()

    def _replace(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            began = time.monotonic()
            self._process.join()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > LONGEST_WAIT_SECONDS:
                wait = FIRST_WAIT_SECONDS
            log.error("job worker ended", exit_code=self._process.exitcode, again_in_seconds=wait)
            self._stopping.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            with self._starting:
                if self._stopping.is_set():
                    return
                self._process = multiprocessing.get_context("spawn").Process(target=self._target, name="ecru-jobs")
                self._process.start()
