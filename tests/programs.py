"""The real program, started as an operator starts it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import httpx

from tests.servers import free_port, is_running, wait_for

STOP_SECONDS = 30.0
LOOPBACK = IPv4Address("127.0.0.1")
ECRU = (sys.executable, "-m", "ecru")
data_folders: set[Path] = set()
"""Where servers of this run of the tests had their data."""


def ecru(*arguments: object, environment: Mapping[str, str] | None = None, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of ``ecru`` to its end."""
    return subprocess.run(
        [*ECRU, *map(str, arguments)],
        env=_environment(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ECRU_")}
    # Wide, so that nothing is wrapped that a test looks for.
    return {**inherited, "COLUMNS": "200", **(more or {})}


@dataclass
class Program:
    """A server that runs: the parent of its processes, with its output in files."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    verify: ssl.SSLContext | bool = False

    @property
    def output(self) -> str:
        """What it has printed for people so far."""
        return (self.folder / "stdout").read_text()

    @property
    def log(self) -> str:
        """The log lines so far."""
        return (self.folder / "stderr").read_text()

    def children(self) -> set[int]:
        """The workers that it has started and that have not ended."""
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = {int(child) for file in listed for child in file.read_text().split()}
        return {child for child in children if is_running(child) and not _is_tracker(child)}

    def get(self, path: str) -> httpx.Response:
        """Ask for a path on a connection of its own, which may reach any worker."""
        return httpx.get(f"{self.url}{path}", verify=self.verify, trust_env=False)

    def answers(self) -> bool:
        """Whether it answers requests."""
        if self.process.poll() is not None:
            raise AssertionError(f"ecru ended with {self.process.returncode}:\n{self.log}")
        try:
            return self.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End all its processes where they stand, and wait until they are gone."""
        children = self.children()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_for(lambda: not any(is_running(child) for child in children), "the processes to be gone")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Have it end, and answer its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)


def start(
    folder: Path,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    verify: ssl.SSLContext | None = None,
    command: Sequence[str | Path] = ECRU,
    until: Callable[[Program], bool] = Program.answers,
) -> Program:
    """Start a server on the data folder ``data`` of a folder, and wait until it answers; the caller stops it.

    ``command`` is what to run instead of ``ecru`` itself, with the arguments that ``ecru`` would get. ``until`` says what else to
    wait for.
    """
    port = port or free_port()
    folder.mkdir(exist_ok=True)
    data_folders.add(folder / "data")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with (folder / "stdout").open("w") as stdout, (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [
                *command,
                "serve",
                "--host",
                host,
                "--port",
                str(port),
                "--data",
                str(folder / "data"),
                *map(str, arguments),
            ],
            env=_environment(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    program = Program(process, f"{'https' if verify else 'http'}://{address}", folder, verify or False)
    try:
        wait_for(lambda: until(program), f"ecru to answer on {address}")
    except BaseException:
        program.kill()
        raise
    return program


def _is_tracker(process: int) -> bool:
    """Whether it is the process that multiprocessing starts to tidy up after the others."""
    try:
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def slow_request(program: Program, body_bytes: int) -> socket.socket:
    """Begin a request whose body is still to be sent."""
    host, port = program.url.removeprefix("http://").rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=STOP_SECONDS)
    connection.sendall(f"PUT /v2/a/manifests/b HTTP/1.1\r\nHost: {host}\r\nContent-Length: {body_bytes}\r\n\r\n".encode())
    return connection
