"""Real servers for tests: PostgreSQL and S3, on loopback, in a folder that goes away with them."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.peers import peer


def free_port() -> int:
    """Answer a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], what: str, within_seconds: float = 20) -> None:
    """Wait until the condition holds; raises TimeoutError naming what was waited for."""
    pause = threading.Event()
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        pause.wait(0.01)


def is_running(process: int) -> bool:
    """Say whether a process is there and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_listening(port: int) -> bool:
    """Say whether something accepts connections on that port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class PostgresqlServer:
    """A PostgreSQL that runs."""

    port: int
    _programs: Path
    _folder: Path
    _user: str | None
    _options: str

    def url(self, database: str) -> str:
        """Answer the URL of a database as the setting ``--database`` takes it.

        Without asking for TLS first, which this server has not: asyncpg lets go of a future with an exception when a connection is
        given up while it asks, and a later test would be blamed for it.
        """
        return f"postgresql://ecru@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def execute(self, statement: str) -> None:
        """Execute one statement outside of any test's database."""
        subprocess.run(
            [self._programs / "psql", "--quiet", "--no-psqlrc", "--command", statement, self.url("postgres")],
            check=True,
            capture_output=True,
        )

    def make(self) -> None:
        """Make its data."""
        arguments = ("--no-sync", "--auth=trust", "--username=ecru", "--encoding=UTF8", "--locale=C.UTF-8")
        self._run("initdb", *arguments, self._data)

    def start(self) -> None:
        """Start it, after a ``kill`` too, and wait until it answers."""
        log = self._folder / "log"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--pgdata={self._data}", f"--log={log}", f"--options={self._options}")

    def stop(self) -> None:
        """Stop it at once, if it runs."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", "--silent", f"--pgdata={self._data}", "--mode=immediate")

    def kill(self) -> None:
        """End all its processes where they stand."""
        locks = (self._data / "postmaster.pid", self._folder / f".s.PGSQL.{self.port}.lock")
        postmaster = int(locks[0].read_text().split()[0])
        children = [
            int(child) for file in Path(f"/proc/{postmaster}/task").glob("*/children") for child in file.read_text().split()
        ]
        for process in (postmaster, *children):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_for(lambda: not any(is_running(process) for process in (postmaster, *children)), "PostgreSQL to be gone")
        # Until somebody has reaped it, a new one would take it for alive.
        for lock in locks:
            lock.unlink()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: str | Path) -> None:
        completed = subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd=self._folder,
            capture_output=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr


@contextmanager
def postgresql_server(*, durable: bool = False) -> Iterator[PostgresqlServer]:
    """Start a PostgreSQL of its own; without ``durable`` it acknowledges what is not on disk."""
    programs = peer("postgres")
    # Under /tmp itself: other users may not look into pytest's folders, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="ecru-postgresql-"))
    port = free_port()
    configuration = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "timezone": "UTC"}
    if not durable:
        configuration |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = " ".join(f"-c {name}={value}" for name, value in configuration.items())
    server = PostgresqlServer(port, programs, folder, _unprivileged_user(folder), options)
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _unprivileged_user(folder: Path) -> str | None:
    """Give the folder to the user that runs PostgreSQL, which root must not; None is whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, user)
    return user


@dataclass(frozen=True)
class Bucket:
    """A bucket of a running S3 server and the credentials for it."""

    endpoint: str
    name: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def url(self, prefix: str = "blobs") -> str:
        """Answer the URL as the setting ``--blobs`` takes it; the credentials travel in the environment."""
        return f"s3://{self.name}/{prefix}?endpoint={self.endpoint}"

    def environment(self) -> dict[str, str]:
        """Answer the credentials as environment variables that AWS's programs and the store read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
        }

    def client(self) -> Any:  # noqa: ANN401  boto3 makes its classes at run time
        """Answer boto3's S3 client, to look at the bucket from outside."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[Bucket]:
    """Start an S3 server that keeps its buckets in the folder; answers one bucket of it, already there."""
    port = free_port()
    bucket = Bucket(f"http://127.0.0.1:{port}", "first", "AKIDECRUTESTS", "the secret of the tests")
    (folder / "buckets").mkdir()
    command: list[str | Path] = [
        peer("versitygw"),
        f"--port=127.0.0.1:{port}",
        "--quiet",
        "--keep-alive",
        "posix",
        folder / "buckets",
    ]
    root = {"ROOT_ACCESS_KEY_ID": bucket.access_key_id, "ROOT_SECRET_ACCESS_KEY": bucket.secret_access_key}
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=os.environ | root, stdout=log, stderr=log) as server:
        try:
            wait_for(lambda: is_listening(port) or server.poll() is not None, "versitygw listens")
            assert server.poll() is None, (folder / "log").read_text()
            bucket.client().create_bucket(Bucket=bucket.name)
            yield bucket
        finally:
            server.terminate()
