"""What is acknowledged is on the disk by then, as the system calls of a real server show.

The order, for each body that is acknowledged::

    write … write → fsync(file) → rename → fsync(folder) → row → fsync(database) → the answer on the socket

A ``kill -9`` keeps what the kernel has, so no killed server shows a missing fsync; a trace does.
"""

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from typing_extensions import override

from ecru.oci.digest import digest_of
from ecru.oci.media_types import OCI_MANIFEST
from tests import servers
from tests.durability.deployment import REPOSITORY, Deployment, create_repository, log_in
from tests.durability.tracing import Call, Trace, traced
from tests.making import a_config, a_layer, a_manifest
from tests.programs import STOP_SECONDS
from tests.servers import Bucket

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "copy_file_range", "sendfile")
SYNCS = ("fsync", "fdatasync")
RENAMES = ("rename", "renameat", "renameat2")
SENDS = ("write", "writev", "sendto", "sendmsg")
RECEIVES = ("read", "readv", "recvfrom", "recvmsg")
REQUEST = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE) /")

LARGE_BYTES = 9 * 1024 * 1024  # more than an object store takes in one request


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, as they passed the server's socket."""

    method: str
    path: str
    status: int
    begin: int
    answer: Call

    @override
    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status}"


@dataclass(frozen=True)
class Evidence:
    """What was seen of a server while a client pushed to it."""

    trace: Trace
    data: Path
    postgresql_port: int | None = None
    s3_port: int | None = None

    @property
    def blobs(self) -> Path:
        """The store's folder."""
        return self.data / "blobs"

    @cached_property
    def exchanges(self) -> Sequence[Exchange]:
        """What was asked and answered on ``/v2/``, in order."""
        found = []
        for answer in self.trace.calls:
            if answer.name not in SENDS or not answer.text.startswith("HTTP/1.1 "):
                continue
            request = next(
                call
                for call in reversed(self.trace.between(0, answer.begin, *RECEIVES))
                if call.connection == answer.connection and REQUEST.match(call.text)
            )
            method, path = request.text.split()[:2]
            if path.startswith("/v2/"):
                found.append(Exchange(method, path, int(answer.text.split()[1]), request.begin, answer))
        return found

    def faults(self, exchange: Exchange) -> list[str]:
        """What was not on the disk when the exchange was answered."""
        stored, faults = self._stored(exchange)
        return faults + self._faults_of_the_row(exchange, after=stored)

    def files(self, exchange: Exchange) -> list[str]:
        """The files that the exchange made below the store's folder."""
        return [call.names[1] for call in self._renames(exchange)]

    def _renames(self, exchange: Exchange) -> list[Call]:
        renames = self.trace.between(exchange.begin, exchange.answer.begin, *RENAMES)
        return [call for call in renames if call.names[1].startswith(f"{self.blobs}/") and "/probes/" not in call.names[1]]

    def _stored(self, exchange: Exchange) -> tuple[int, list[str]]:
        """The line at which all bytes were durable, and what was not by the time of the answer."""
        if self.s3_port is not None:
            return self._stored_in_s3(exchange, self.s3_port)
        begin, end = exchange.begin, exchange.answer.begin
        stored, faults = begin, []
        for rename in self._renames(exchange):
            beside, target = rename.names
            written = [call for call in self.trace.between(begin, end, *WRITES) if call.target == beside]
            last = max((call.end for call in written), default=begin)
            if not any(call.path == beside for call in self.trace.between(last, rename.begin, *SYNCS)):
                faults.append(f"{exchange}: the bytes were not synced before {rename}")
            names = [call for call in self.trace.between(rename.end, end, *SYNCS) if call.path == str(Path(target).parent)]
            if not names:
                faults.append(f"{exchange}: the folder was not synced after {rename}")
            stored = max([stored, rename.end, *(call.end for call in names[:1])])
        return stored, faults

    def _stored_in_s3(self, exchange: Exchange, port: int) -> tuple[int, list[str]]:
        stored, faults = exchange.begin, []
        for call in self.trace.between(exchange.begin, exchange.answer.begin, *SENDS):
            if call.peer_port != port or not call.text.startswith(("PUT ", "POST ")) or "?delete" in call.text[:200]:
                continue
            answers = [
                answer
                for answer in self.trace.between(call.begin, exchange.answer.begin, *RECEIVES)
                if answer.connection == call.connection and answer.text.startswith("HTTP/1.1 ")
            ]
            if not answers or not answers[0].text.startswith("HTTP/1.1 200"):
                faults.append(f"{exchange}: the store had not answered {call}")
            stored = max([stored, *(answer.end for answer in answers[:1])])
        return stored, faults

    def _faults_of_the_row(self, exchange: Exchange, *, after: int) -> list[str]:
        end = exchange.answer.begin
        process = self.trace.process_of(exchange.answer.thread)
        if self.postgresql_port is not None:
            ours = [call for call in self.trace.between(after, end, *SENDS, *RECEIVES) if call.peer_port == self.postgresql_port]
            sent = [call for call in ours if call.name in SENDS and "COMMIT" in call.text]
            done = [call for call in ours if call.name in RECEIVES and "COMMIT\\0" in call.text]
            if not sent:
                return [f"{exchange}: no COMMIT was sent after the bytes were stored"]
            return [] if done and done[-1].begin > sent[-1].begin else [f"{exchange}: the COMMIT had not been answered"]
        log = f"{self.data}/ecru.db-wal"
        ours = [call for call in self.trace.between(after, end, *WRITES, *SYNCS) if call.path == log]
        ours = [call for call in ours if self.trace.process_of(call.thread) == process]
        written = [call for call in ours if call.name in WRITES]
        if not written:
            return [f"{exchange}: no row was written after the bytes were stored"]
        synced = any(call.name in SYNCS and call.begin > written[-1].end for call in ours)
        return [] if synced else [f"{exchange}: the row was not synced after {written[-1]}"]


def push(url: str, authorization: str) -> None:
    """Push a blob in each way there is, and an image."""
    large = os.urandom(LARGE_BYTES)
    layer, config = a_layer(), a_config()
    uploads = f"/v2/{REPOSITORY}/blobs/uploads/"
    with httpx.Client(base_url=url, headers={"Authorization": authorization}, trust_env=False) as client:

        def expect(status: int, answer: httpx.Response) -> str:
            assert answer.status_code == status, answer.text
            return str(answer.headers.get("location", ""))

        opened = expect(202, client.post(uploads))
        expect(201, client.put(opened, params={"digest": digest_of(large)}, content=large))

        halves = (large[: LARGE_BYTES // 2], large[LARGE_BYTES // 2 :] + b"and more")
        opened = expect(202, client.post(uploads))
        for half in halves:
            expect(202, client.patch(opened, content=half))
        expect(201, client.put(opened, params={"digest": digest_of(b"".join(halves))}))

        opened = expect(202, client.post(uploads))
        expect(202, client.patch(opened, content=layer))
        expect(201, client.put(opened, params={"digest": digest_of(layer)}))

        expect(201, client.post(uploads, params={"digest": digest_of(config)}, content=config))

        manifest = a_manifest(config=config, layers=[layer])
        expect(201, client.put(f"/v2/{REPOSITORY}/manifests/one", headers={"Content-Type": OCI_MANIFEST}, content=manifest))


PUSHED = ["POST", "PUT", "POST", "PATCH", "PATCH", "PUT", "POST", "PATCH", "PUT", "POST", "PUT"]
FILES = [0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0]


def observe(deployment: Deployment, **ports: int) -> Evidence:
    """Push to a server from its first start on, and end it."""
    file = deployment.folder / "trace"
    program = replace(deployment, command=traced(deployment.command, file)).start("--workers", 1)
    try:
        create_repository(program)
        push(program.url, log_in(program))
        for process in program.children():
            os.kill(process, signal.SIGTERM)
        assert program.process.wait(STOP_SECONDS) == 0  # strace, which has then written all of it
    finally:
        program.kill()
    return Evidence(Trace(file), deployment.data, **ports)


def with_sqlite(folder: Path) -> Iterator[Evidence]:
    yield observe(Deployment(folder))


def with_postgresql(folder: Path) -> Iterator[Evidence]:
    with servers.postgresql_server(durable=True) as server:
        yield observe(Deployment(folder, database=server.url("postgres")), postgresql_port=server.port)


def with_s3(folder: Path) -> Iterator[Evidence]:
    (folder / "s3").mkdir(parents=True)
    with servers.s3_server(folder / "s3") as bucket:
        deployment = Deployment(folder, ["--blobs", bucket.url()], bucket.environment())
        yield observe(deployment, s3_port=_port_of(bucket))


def with_s3_and_postgresql(folder: Path) -> Iterator[Evidence]:
    (folder / "s3").mkdir(parents=True)
    with servers.postgresql_server(durable=True) as server, servers.s3_server(folder / "s3") as bucket:
        deployment = Deployment(folder, ["--blobs", bucket.url()], bucket.environment(), server.url("postgres"))
        yield observe(deployment, postgresql_port=server.port, s3_port=_port_of(bucket))


def _port_of(bucket: Bucket) -> int:
    port = urlsplit(bucket.endpoint).port
    assert port is not None
    return port


@pytest.fixture(
    scope="module",
    params=[with_sqlite, with_postgresql, with_s3, with_s3_and_postgresql],
    ids=["folder and SQLite", "folder and PostgreSQL", "S3 and SQLite", "S3 and PostgreSQL"],
)
def evidence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    begin: Callable[[Path], Iterator[Evidence]] = request.param
    yield from begin(tmp_path_factory.mktemp("traced"))


def test_what_is_acknowledged_was_durable_by_then_bytes_first(evidence: Evidence) -> None:
    exchanges = evidence.exchanges

    assert [exchange.method for exchange in exchanges] == PUSHED
    assert [fault for exchange in exchanges for fault in evidence.faults(exchange)] == []


def test_each_session_asks_postgresql_for_commits_that_last(evidence: Evidence) -> None:
    """The server's own setting may be another; then an answered COMMIT would say nothing about the disk."""
    sent = [call for call in evidence.trace.calls if call.peer_port == evidence.postgresql_port and call.name in SENDS]
    begun = [call.text for call in sent if "application_name" in call.text]

    assert bool(begun) == (evidence.postgresql_port is not None)
    assert all("synchronous_commit\\0on\\0" in text for text in begun)


def test_each_body_becomes_one_file_and_several_are_joined_into_one(evidence: Evidence) -> None:
    if evidence.s3_port is not None:
        assert not evidence.blobs.exists()
    else:
        assert [len(evidence.files(exchange)) for exchange in evidence.exchanges] == FILES


def test_every_name_the_server_made_was_durable_before_the_first_answer(evidence: Evidence) -> None:
    first = evidence.exchanges[0].answer.begin

    assert {f"{evidence.data}/server.key", str(evidence.data)} <= evidence.trace.names_at(first, evidence.data).keys()
    assert names_not_synced(evidence, first) == []


def names_not_synced(evidence: Evidence, until: int) -> list[str]:
    """Names that a power cut would take away, though what they hold was acknowledged."""
    without_value = re.compile(r"/run(/|$)|\.lock$|\.db-shm$|/probes/.")
    return [
        f"{name}, made in {call}, was not followed by a sync of its folder"
        for name, call in evidence.trace.names_at(until, evidence.data).items()
        if not without_value.search(name)
        and not any(sync.path == str(Path(name).parent) for sync in evidence.trace.between(call.end, until, *SYNCS))
    ]


@pytest.mark.parametrize(
    "step,expected",
    [
        ("sync-of-files", "the bytes were not synced before"),
        ("sync-before-rename", "the bytes were not synced before"),
        ("sync-of-folders", "the folder was not synced after"),
        ("sync-of-the-database", "the row was not synced after"),
    ],
)
def test_a_step_left_out_is_noticed(step: str, expected: str, tmp_path: Path) -> None:
    """This lane's own test: it must be able to fail."""
    evidence = observe(Deployment(tmp_path).without(step))

    faults = [fault for exchange in evidence.exchanges for fault in evidence.faults(exchange)]

    assert faults
    assert all(expected in fault for fault in faults)


def test_a_new_folder_that_is_not_synced_is_noticed(tmp_path: Path) -> None:
    evidence = observe(Deployment(tmp_path).without("sync-of-new-folders"))

    faults = names_not_synced(evidence, evidence.exchanges[-1].answer.begin)

    assert faults
    assert all("mkdir(" in fault for fault in faults)
