"""Twenty layers on their way at once stay on their way: no worker holds one in memory.

``make memory`` does it with layers of 500 MB.
"""

import hashlib
import http.client
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.durability.deployment import REPOSITORY, Deployment, create_repository, log_in
from tests.programs import Program
from tests.servers import Bucket

CLIENTS = 20
WORKERS = 2
LAYER_MEGABYTES = int(os.environ.get("LAYER_MEGABYTES", "60"))
MOST_BYTES = 300_000_000
PIECE_BYTES = 1_000_000

pytestmark = pytest.mark.timeout(120 + 2 * LAYER_MEGABYTES)


@dataclass
class Peak:
    """The most memory that the web workers of a server used at once, in bytes."""

    proportional: int = 0
    """What they share counted once: what the machine gives them (PSS)."""
    resident: int = 0
    """What they share counted for each (RSS)."""


@contextmanager
def watching(program: Program) -> Iterator[Peak]:
    """Look at the memory of a server all the time."""
    peak, over = Peak(), threading.Event()
    web_workers = [process for process in program.children() if _listens(process, urlsplit(program.url).port or 0)]
    assert len(web_workers) == WORKERS

    def look() -> None:
        peak.proportional = max(peak.proportional, sum(_used_bytes(process, "Pss") for process in web_workers))
        peak.resident = max(peak.resident, sum(_used_bytes(process, "Rss") for process in web_workers))

    def watch() -> None:
        while not over.wait(0.02):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _listens(process: int, port: int) -> bool:
    """Whether the process accepts connections, which the job worker does not."""
    lines = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{fields[9]}]" for fields in lines if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port}
    return any(str(file.readlink()) in listening for file in Path(f"/proc/{process}/fd").iterdir())


def _used_bytes(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def content_of(number: int, together: threading.Barrier) -> Iterator[bytes]:
    """A layer like no other, which stops in its middle until all have come as far."""
    for piece in range(LAYER_MEGABYTES):
        if piece == LAYER_MEGABYTES // 2:
            together.wait(timeout=600)
        yield f"{number} {piece} ".encode().ljust(PIECE_BYTES, b"*")


def push(url: str, authorization: str, number: int, together: threading.Barrier) -> int:
    """Push a layer in one body: half of the clients with PUT, the others with PATCH; answer the last status."""
    hasher = hashlib.sha256()
    size = LAYER_MEGABYTES * PIECE_BYTES

    def hashed() -> Iterator[bytes]:
        for piece in content_of(number, together):
            hasher.update(piece)
            yield piece

    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)) as connection:

        def ask(method: str, path: str, body: Iterator[bytes] | None = None, size: int = 0) -> http.client.HTTPResponse:
            connection.request(method, path, body, {"Authorization": authorization, "Content-Length": str(size)})
            answer = connection.getresponse()
            answer.read()
            return answer

        location = ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/").headers["Location"]
        if number % 2:
            assert ask("PATCH", location, hashed(), size).status == http.client.ACCEPTED
            return ask("PUT", f"{location}?digest=sha256:{hasher.hexdigest()}").status
        for piece in content_of(number, threading.Barrier(1)):  # the digest of a PUT stands before its body
            hasher.update(piece)
        return ask("PUT", f"{location}?digest=sha256:{hasher.hexdigest()}", content_of(number, together), size).status


def test_twenty_pushes_at_once_to_a_folder_are_not_held_in_memory(tmp_path: Path) -> None:
    peak = peak_of_pushes(Deployment(tmp_path))

    assert 0 < peak.proportional < MOST_BYTES, peak


def test_twenty_pushes_at_once_to_an_object_store_are_not_held_in_memory(tmp_path: Path, s3_bucket: Bucket) -> None:
    peak = peak_of_pushes(Deployment(tmp_path, ["--blobs", s3_bucket.url()], s3_bucket.environment()))

    assert 0 < peak.proportional < MOST_BYTES, peak


def peak_of_pushes(deployment: Deployment) -> Peak:
    """Push to a server with all clients at once, and answer what memory that took."""
    program = deployment.start("--workers", WORKERS)
    together = threading.Barrier(CLIENTS)
    try:
        create_repository(program)
        authorization = log_in(program)
        with watching(program) as peak, ThreadPoolExecutor(CLIENTS) as threads:
            pushing = [threads.submit(push, program.url, authorization, number, together) for number in range(CLIENTS)]
            assert [each.result() for each in pushing] == [http.client.CREATED] * CLIENTS
    finally:
        program.kill()
        shutil.rmtree(deployment.blobs, ignore_errors=True)
    sys.stdout.write(f"{CLIENTS} × {LAYER_MEGABYTES} MB: {peak.proportional / 1e6:.0f} MB PSS, {peak.resident / 1e6:.0f} MB RSS\n")
    return peak
