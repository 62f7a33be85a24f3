"""What no client does on purpose, on a socket: broken off, at once, out of order, too large, misspelt."""

import http.client
import json
import socket
import sqlite3
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ecru.oci.digest import digest_of
from ecru.oci.manifest import MANIFEST_SIZE_LIMIT
from ecru.oci.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests import programs
from tests.clients.images import Made, an_artifact, an_image, noise
from tests.clients.registry import Registry, assert_nothing_failed, push, push_blob, put_manifest, running_registry
from tests.making import an_index
from tests.servers import wait_for

CONTENT = noise("raw", 1_000_000)
DIGEST = digest_of(CONTENT)
# More than a store gathers before it begins to write.
LARGE = noise("large", 4_000_000)


class Connection:
    """One connection, on which a request may be sent in pieces."""

    def __init__(self, registry: Registry) -> None:
        host, port = registry.host.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._headers = {"Host": registry.host, "Authorization": registry.authorization}
        self.worker = ""

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(content)

    def begin(self, method: str, path: str, headers: Mapping[str, str] | None = None, *, body: bytes = b"") -> None:
        """Send a request, its body as far as it is given."""
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (self._headers | dict(headers or {})).items() if value]
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self, method: str = "GET") -> tuple[int, Mapping[str, str], bytes]:
        """Read an answer: status, headers by name in small letters, body."""
        answer = http.client.HTTPResponse(self._socket, method=method)
        answer.begin()
        content = answer.read()
        self.worker = (answer.getheader("x-request-id") or "")[:23]
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, *, body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request and read its answer."""
        length = {"Content-Length": str(len(body))} if body else {}
        self.begin(method, path, length | dict(headers or {}), body=body)
        return self.answer(method)

    def read(self, size: int) -> bytes:
        """Read some bytes."""
        return self._socket.recv(size)

    def close(self) -> None:
        """End it; what was sent arrives."""
        self._socket.close()

    def reset(self) -> None:
        """Break it off: what was sent and has not been read may be lost, and the other side is told at once."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


@contextmanager
def connected(registry: Registry) -> Iterator[Connection]:
    with closing(Connection(registry)) as connection:
        yield connection


@pytest.fixture
def connection(registry: Registry) -> Iterator[Connection]:
    """A connection for the test."""
    with connected(registry) as one:
        yield one


@pytest.fixture
def http_client(registry: Registry) -> Iterator[httpx.Client]:
    """A client for what a test needs beside its connections."""
    with registry.http() as client:
        yield client


def begin_upload(registry: Registry, repository: str) -> str:
    """Open an upload; answers its path."""
    with registry.http() as client:
        return str(client.post(f"/v2/{repository}/blobs/uploads/").headers["location"])


def received(registry: Registry, upload: str) -> int:
    """How many bytes of an upload the registry says it has; 0 and 1 look the same."""
    with registry.http() as client:
        status = client.get(upload)
    assert status.status_code == 204, status.text
    return int(status.headers["range"].removeprefix("0-")) + 1


def finish(registry: Registry, upload: str, first: int, content: bytes = CONTENT) -> None:
    """Send what is missing of the content, close the upload, and see that the blob is the content."""
    with registry.http() as client:
        chunk = {"Content-Range": f"{first}-{len(content) - 1}"}
        assert client.patch(upload, content=content[first:], headers=chunk).status_code == 202
        closed = client.put(upload, params={"digest": digest_of(content)})
        assert closed.status_code == 201, closed.text
        assert client.get(closed.headers["location"]).content == content


# --- bodies that are broken off -------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
def test_an_upload_goes_on_where_its_connection_ended(registry: Registry, repository: str, framing: str) -> None:
    upload, sent = begin_upload(registry, repository), 300_000
    with connected(registry) as connection:
        if framing == "Content-Length":
            connection.begin("PATCH", upload, {"Content-Length": str(len(CONTENT))}, body=CONTENT[:sent])
        else:
            connection.begin("PATCH", upload, {framing: "chunked"}, body=b"%x\r\n" % sent + CONTENT[:sent] + b"\r\n")

    # All that was sent before the end has arrived.
    wait_for(lambda: received(registry, upload) == sent, "what has arrived to be kept")
    finish(registry, upload, sent)


def test_an_upload_goes_on_where_its_connection_was_reset(registry: Registry, repository: str) -> None:
    upload = begin_upload(registry, repository)
    with connected(registry) as connection:
        connection.ask("PATCH", upload, {"Content-Range": "0-99999"}, body=LARGE[:100_000])
        connection.begin("PATCH", upload, {"Content-Length": "3900000"}, body=LARGE[100_000:3_000_000])
        wait_for(lambda: is_receiving(registry, upload), "the registry to read")
        connection.reset()

    wait_for(lambda: not is_receiving(registry, upload), "the registry to notice")
    there = received(registry, upload)
    assert 100_000 < there <= 3_000_000
    finish(registry, upload, there, LARGE)


def is_receiving(registry: Registry, upload: str) -> bool:
    """Whether bytes of an upload are being written."""
    folder = registry.program.folder / "data" / "blobs" / upload[-2:]
    return any(".half." in file.name and file.name.startswith(upload.rsplit("/", 1)[1]) for file in files_below(folder))


def files_below(folder: Path) -> Iterator[Path]:
    """The files, of which any may go while they are listed."""
    for file in folder.rglob("*") if folder.exists() else ():
        if file.is_file():
            yield file


def test_a_chunk_that_is_sent_again_is_refused(registry: Registry, repository: str, connection: Connection) -> None:
    upload = begin_upload(registry, repository)
    chunk = {"Content-Range": "0-99999"}
    connection.ask("PATCH", upload, chunk, body=CONTENT[:100_000])

    again, _, _ = connection.ask("PATCH", upload, chunk, body=CONTENT[:100_000])

    status, headers, _ = connection.ask("GET", upload)
    assert (again, status) == (416, 204)
    assert (headers["range"], headers["location"]) == ("0-99999", upload)
    finish(registry, upload, 100_000)


def test_an_upload_goes_on_through_the_other_worker(registry: Registry, repository: str) -> None:
    upload = begin_upload(registry, repository)
    with connected(registry) as one:
        one.ask("PATCH", upload, {"Content-Range": "0-499999"}, body=CONTENT[:500_000])
        with other_worker(registry, one.worker) as other:
            status, headers, _ = other.ask("GET", upload)
            assert (status, headers["range"]) == (204, "0-499999")
            status, headers, _ = other.ask("PATCH", upload, {"Content-Range": "500000-999999"}, body=CONTENT[500_000:])
            assert (status, headers["range"]) == (202, "0-999999")

        # The first worker has not seen all of it.
        status, headers, _ = one.ask("PUT", f"{upload}?digest={DIGEST}")

        assert status == 201
        assert one.ask("GET", headers["location"])[2] == CONTENT


@contextmanager
def other_worker(registry: Registry, worker: str) -> Iterator[Connection]:
    """A connection that another worker answers."""
    for _ in range(100):
        with connected(registry) as connection:
            connection.ask("GET", "/v2/")
            if connection.worker != worker:
                yield connection
                return
    pytest.fail("one worker answers everything")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Registry]:
    """A registry of the test's own, to be restarted."""
    with running_registry(tmp_path / "own", "--workers", 2) as registry:
        yield registry


def restarted(registry: Registry, end: Callable[[programs.Program], object]) -> None:
    """End the server and start it again on the same port and folder."""
    program = registry.program
    end(program)
    registry.program = programs.start(program.folder, "--workers", 2, port=int(registry.host.rsplit(":", 1)[1]))


@pytest.mark.parametrize("end", [programs.Program.stop, programs.Program.kill], ids=["SIGTERM", "SIGKILL"])
def test_an_upload_goes_on_after_a_restart(own: Registry, end: Callable[[programs.Program], object]) -> None:
    upload = begin_upload(own, own.create_repository())
    with connected(own) as connection:
        connection.ask("PATCH", upload, {"Content-Range": "0-199999"}, body=CONTENT[:200_000])
    with connected(own) as connection:
        connection.begin("PATCH", upload, {"Content-Length": "800000"}, body=CONTENT[200_000:400_000])
    wait_for(lambda: received(own, upload) > 200_000, "what has arrived to be kept")
    there = received(own, upload)

    restarted(own, end)

    assert received(own, upload) == there
    finish(own, upload, there)


def test_an_upload_goes_on_after_the_server_was_killed_under_it(own: Registry) -> None:
    upload = begin_upload(own, own.create_repository())
    with connected(own) as connection:
        connection.ask("PATCH", upload, {"Content-Range": "0-199999"}, body=CONTENT[:200_000])
        connection.begin("PATCH", upload, {"Content-Length": "800000"}, body=CONTENT[200_000:400_000])

        restarted(own, programs.Program.kill)

    # Only what was acknowledged is promised.
    assert received(own, upload) == 200_000
    finish(own, upload, 200_000)


def test_a_closing_put_that_is_broken_off_leaves_the_upload_open(registry: Registry, repository: str) -> None:
    upload = begin_upload(registry, repository)
    with connected(registry) as connection:
        connection.ask("PATCH", upload, {"Content-Range": "0-499999"}, body=CONTENT[:500_000])
        connection.begin("PUT", f"{upload}?digest={DIGEST}", {"Content-Length": "500000"}, body=CONTENT[500_000:600_000])

    registry.wait_to_see(repository, "PUT", upload.removeprefix(f"/v2/{repository}/"), 400)
    finish(registry, upload, received(registry, upload))


def test_a_manifest_that_is_broken_off_is_not_stored(registry: Registry, repository: str) -> None:
    image = an_image("broken off")
    registry.push(repository, image)
    padded = image.content + b" " * 100
    with connected(registry) as connection:
        headers = {"Content-Length": str(len(padded)), "Content-Type": OCI_MANIFEST}
        # What has arrived is a whole manifest by itself.
        connection.begin("PUT", f"/v2/{repository}/manifests/broken", headers, body=padded[:-50])

    registry.wait_to_see(repository, "PUT", "manifests/broken", 400)
    assert registry.tags(repository) == {}


# --- several at once ------------------------------------------------------------------------------------------------


def test_fifty_clients_push_one_blob_at_once_and_one_copy_stays(own: Registry) -> None:
    repositories = [own.create_repository() for _ in range(5)]
    clients, together = 50, threading.Barrier(50)
    header = own.authorization

    def push_once(number: int) -> int:
        with own.http(headers={"Authorization": header}) as client:
            repository = repositories[number % len(repositories)]
            upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["location"]
            together.wait(30)
            assert client.patch(upload, content=CONTENT).status_code == 202
            together.wait(30)
            return client.put(upload, params={"digest": DIGEST}).status_code

    with ThreadPoolExecutor(clients) as threads:
        statuses = list(threads.map(push_once, range(clients)))

    assert statuses == [201] * clients
    data = own.program.folder / "data"
    with closing(sqlite3.connect(f"file:{data}/ecru.db?mode=ro", uri=True)) as database:
        kept = [location for (location,) in database.execute("SELECT location FROM blob WHERE digest = ?", [DIGEST])]
        discarded = {location for (location,) in database.execute("SELECT location FROM discarded")}
    files = {str(file.relative_to(data / "blobs")) for file in files_below(data / "blobs") if file.stat().st_size == len(CONTENT)}
    assert len(kept) == 1
    # The others wait for the collector.
    assert files - discarded == set(kept)
    with own.http() as client:
        for repository in repositories:
            assert client.get(f"/v2/{repository}/blobs/{DIGEST}").content == CONTENT


def test_of_two_bodies_for_one_upload_one_counts(registry: Registry, repository: str) -> None:
    upload = begin_upload(registry, repository)
    with connected(registry) as slow, connected(registry) as quick:
        slow.begin("PATCH", upload, {"Content-Length": "3000001"}, body=b"x" * 3_000_000)
        wait_for(lambda: is_receiving(registry, upload), "the slow one to be read")

        quick_status, headers, _ = quick.ask("PATCH", upload, body=CONTENT[:500_000])
        slow.send(b"x")
        slow_status, _, refused = slow.answer()

    assert (quick_status, headers["range"]) == (202, "0-499999")
    assert (slow_status, json.loads(refused)["errors"][0]["code"]) == (416, "RANGE_INVALID")
    finish(registry, upload, 500_000)


def test_clients_that_push_one_tag_at_once_all_succeed_and_one_image_has_it(registry: Registry, repository: str) -> None:
    images = [an_image(f"racing {number}") for number in range(8)]
    with registry.http() as client:
        for image in images:
            for blob in image.blobs:
                push_blob(client, repository, blob)
    together = threading.Barrier(len(images))

    def push_once(image: Made) -> int:
        with registry.http() as client:
            together.wait(30)
            return put_manifest(client, repository, "raced", image).status_code

    with ThreadPoolExecutor(len(images)) as threads:
        statuses = list(threads.map(push_once, images))

    assert statuses == [201] * len(images)
    assert registry.tags(repository)["raced"] in {image.digest for image in images}
    for image in images:
        assert registry.describe(repository, image.digest)["imageDigest"] == image.digest


def test_a_blob_that_is_deleted_while_it_is_read_is_read_to_its_end(
    registry: Registry, repository: str, connection: Connection, http_client: httpx.Client
) -> None:
    content = noise("deleted while read", 30_000_000)
    path = f"/v2/{repository}/blobs/{push_blob(http_client, repository, content)}"
    connection.begin("GET", path, {"Range": "bytes=1-"})
    first = connection.read(1)

    deleted = http_client.delete(path)

    assert deleted.status_code == 202
    assert http_client.get(path).status_code == 404
    rest = read_to_the_end(connection, 30_000_000)
    assert (first + rest).endswith(content[1:])


def read_to_the_end(connection: Connection, at_least: int) -> bytes:
    pieces = []
    while at_least > 0 and (piece := connection.read(1 << 20)):
        pieces.append(piece)
        at_least -= len(piece)
    return b"".join(pieces)


# --- leaving and being refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=10-"}], ids=["whole", "range"])
def test_clients_that_leave_in_the_middle_of_a_blob_leave_nothing_open(own: Registry, headers: Mapping[str, str]) -> None:
    repository = own.create_repository()
    with own.http() as client:
        path = f"/v2/{repository}/blobs/{push_blob(client, repository, noise('left', 30_000_000))}"
    before = open_files(own.program)
    connections = [Connection(own) for _ in range(20)]
    for connection in connections:
        connection.begin("GET", path, headers)
        assert connection.read(12) == (b"HTTP/1.1 206" if headers else b"HTTP/1.1 200")

    for connection in connections:
        connection.reset()

    wait_for(lambda: open_files(own.program) <= before, "the files and sockets to be closed")
    assert own.program.get("/healthz").is_success
    assert_nothing_failed(own.program)


def open_files(program: programs.Program) -> int:
    """How many blobs and connections the server's processes have open."""
    blobs, count = str(program.folder / "data" / "blobs"), 0
    for process in program.children():
        for descriptor in Path(f"/proc/{process}/fd").glob("*"):
            try:
                target = str(descriptor.readlink())
            except FileNotFoundError:
                continue
            count += target.startswith((blobs, "socket:"))
    return count


@pytest.mark.parametrize("size_bytes", [100_000, 3_000_000])
@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
def test_a_refusal_is_read_by_a_client_that_sends_its_whole_body_first(
    registry: Registry, connection: Connection, framing: str, size_bytes: int
) -> None:
    body = b"x" * size_bytes
    headers = {"Content-Length": str(size_bytes)}
    if framing == "Transfer-Encoding":
        headers, body = {framing: "chunked"}, b"%x\r\n%b\r\n0\r\n\r\n" % (size_bytes, body)

    connection.begin("PATCH", "/v2/not/made/blobs/uploads/of-nothing", headers, body=body)
    status, _, content = connection.answer()

    assert (status, json.loads(content)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    assert connection.ask("GET", "/v2/")[0] == 200


@pytest.mark.parametrize("authorization", ["", "Basic d3Jvbmc6d3Jvbmc="], ids=["none", "wrong"])
def test_a_refusal_comes_before_the_body_of_many_megabytes(connection: Connection, repository: str, authorization: str) -> None:
    headers = {"Content-Length": "1000000000", "Authorization": authorization}

    connection.begin("POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", headers, body=b"x" * 1000)
    status, answered, _ = connection.answer()

    assert status == 401
    assert answered["www-authenticate"].startswith("Basic ")


def test_a_client_that_waits_is_told_to_continue(registry: Registry, repository: str, connection: Connection) -> None:
    upload = begin_upload(registry, repository)
    connection.begin("PATCH", upload, {"Content-Length": str(len(CONTENT)), "Expect": "100-continue"})

    told = connection.read(1000)
    connection.send(CONTENT)

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.answer()[0] == 202
    finish_all(registry, upload)


def finish_all(registry: Registry, upload: str) -> None:
    with registry.http() as client:
        assert client.put(upload, params={"digest": DIGEST}).status_code == 201


@pytest.mark.parametrize("size_bytes", [1_000, 1_000_000_000])
def test_a_client_that_waits_is_refused_without_its_body(connection: Connection, size_bytes: int) -> None:
    headers = {"Content-Length": str(size_bytes), "Expect": "100-continue"}

    connection.begin("POST", f"/v2/not/made/blobs/uploads/?digest={DIGEST}", headers)

    assert connection.read(12) == b"HTTP/1.1 404"


def test_a_connection_goes_on_after_every_kind_of_refusal(repository: str, connection: Connection) -> None:
    upload = connection.ask("POST", f"/v2/{repository}/blobs/uploads/", {"Content-Length": "0"})[1]["location"]
    refusals = [
        ("GET", f"/v2/{repository}/manifests/none", {}, b"", 404),
        ("GET", f"/v2/{repository}/blobs/sha256:short", {}, b"", 400),
        ("GET", "/v2/", {"Authorization": "Basic d3Jvbmc6d3Jvbmc="}, b"", 401),
        ("POST", f"/v2/{repository}/manifests/none", {}, b"{}", 405),
        ("PUT", f"/v2/{repository}/manifests/none", {"Content-Type": OCI_MANIFEST}, b"{", 400),
        ("PUT", f"/v2/{repository}/manifests/none", {"Content-Type": OCI_MANIFEST}, b" " * (MANIFEST_SIZE_LIMIT + 1), 413),
        ("PATCH", upload, {"Content-Range": "5-9"}, b"12345", 416),
        ("PATCH", upload, {"Content-Range": "0-9"}, b"12345", 400),
        ("PUT", f"{upload}?digest={DIGEST}", {}, b"12345", 400),
        ("GET", "/v2/not/made/tags/list", {}, b"", 404),
        ("GET", "/nowhere", {}, b"", 404),
    ]
    for method, path, headers, body, expected in refusals:
        status, _, content = connection.ask(method, path, headers, body=body)
        assert status == expected, (method, path, content)
        if path.startswith("/v2/"):
            assert json.loads(content)["errors"][0]["code"].isupper()

        assert connection.ask("GET", "/v2/")[0] == 200


# --- the form of requests -------------------------------------------------------------------------------------------


def test_a_chunked_body_without_bytes_is_an_upload_without_bytes(
    registry: Registry, repository: str, connection: Connection
) -> None:
    upload = begin_upload(registry, repository)

    connection.begin("PATCH", upload, {"Transfer-Encoding": "chunked"}, body=b"0\r\n\r\n")
    status, headers, _ = connection.answer()
    closed = connection.ask("PUT", f"{upload}?digest={digest_of(b'')}", {"Content-Length": "0"})

    assert (status, headers["range"]) == (202, "0-0")
    assert closed[0] == 201
    assert connection.ask("GET", closed[1]["location"])[1]["content-length"] == "0"


def test_head_has_the_headers_of_get_and_no_body(registry: Registry, repository: str, connection: Connection) -> None:
    image = an_image("head")
    registry.push(repository, image, "1")

    for path in ("manifests/1", f"manifests/{image.digest}", f"blobs/{image.layers[0]}", "manifests/none", f"blobs/{DIGEST}"):
        status, headers, content = connection.ask("HEAD", f"/v2/{repository}/{path}")
        # Were there a body, it would be read as the beginning of this answer.
        got = connection.ask("GET", f"/v2/{repository}/{path}")

        assert (status, content) == (got[0], b"")
        own_to_each = {"date", "x-request-id"}
        assert {name: headers[name] for name in headers.keys() - own_to_each} == {
            name: got[1][name] for name in got[1].keys() - own_to_each
        }


HOSTILE_PATHS = [
    "/v2/../v2/",
    "/v2/..%2f..%2fetc%2fpasswd/tags/list",
    "/v2/team/../other/tags/list",
    "/v2//tags/list",
    "/v2/team//app/tags/list",
    "/v2/team%00app/tags/list",
    "/v2/team%ffapp/tags/list",
    "/v2/Team/tags/list",
    "/v2/team./tags/list",
    f"/v2/{'a' * 257}/tags/list",
    "/v2/team/app/manifests/%00",
    "/v2/team/app/manifests/..",
    "/v2/team/app/manifests/%2e%2e%2f1",
    "/v2/team/app/manifests/",
    f"/v2/team/app/manifests/{'t' * 129}",
    "/v2/team/app/blobs/sha256:..%2f..%2fserver.key",
    "/v2/team/app/blobs/uploads/..%2f..",
    "/v2/team/app/blobs/uploads/%00",
    "/v2/team/app/referrers/none",
    "/v2/team/app/tags/list/",
    "/v2/team/app",
    "/v2/%",
    "/v2/%zz/tags/list",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=range(len(HOSTILE_PATHS)))
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"])
def test_a_hostile_path_finds_nothing(connection: Connection, method: str, path: str) -> None:
    status, _, content = connection.ask(method, path, {"Content-Type": OCI_MANIFEST}, body=b"" if method == "HEAD" else b"{}")

    assert status in {400, 404, 405}
    if content:
        assert json.loads(content)["errors"][0]["code"] in {
            "NAME_INVALID",
            "NAME_UNKNOWN",
            "DIGEST_INVALID",
            "TAG_INVALID",
            "MANIFEST_INVALID",
            "MANIFEST_UNKNOWN",
            "BLOB_UNKNOWN",
            "BLOB_UPLOAD_UNKNOWN",
            "UNSUPPORTED",
        }


def test_slashes_of_a_name_may_be_escaped(registry: Registry, repository: str, connection: Connection) -> None:
    escaped = repository.replace("/", "%2F")

    assert json.loads(connection.ask("GET", f"/v2/{escaped}/tags/list")[2]) == {"name": repository, "tags": []}


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /v2/ HTTP/1.1\r\n\r\n\0",
        b"GET /v2/\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\nHost: a\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["no host", "NUL", "version", "nonsense", "negative", "two lengths", "TLS"],
)
def test_what_is_no_http_is_refused(registry: Registry, connection: Connection, request_bytes: bytes) -> None:
    connection.send(request_bytes)

    assert connection.read(12) in {b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 401"}
    assert registry.program.get("/healthz").is_success


def test_a_body_with_two_lengths_ends_the_connection(registry: Registry, repository: str, connection: Connection) -> None:
    """What follows the body must not be read as a request, whichever of the two is right (RFC 9112, section 6.3)."""
    upload = begin_upload(registry, repository)
    smuggled = f"DELETE {upload} HTTP/1.1\r\nHost: {registry.host}\r\nAuthorization: {registry.authorization}\r\n\r\n".encode()

    connection.begin(
        "PATCH", upload, {"Content-Length": str(5 + len(smuggled)), "Transfer-Encoding": "chunked"}, body=b"0\r\n\r\n" + smuggled
    )
    status, _, _ = connection.answer()

    assert status in {202, 400}
    assert read_to_the_end(connection, 1) == b""
    assert received(registry, upload) == 1


def test_a_list_is_asked_for_with_any_accept_and_answered_as_it_was_pushed(registry: Registry, repository: str) -> None:
    image = an_image("accepted")
    docker = an_image("accepted", media_type=DOCKER_MANIFEST)
    lists = [
        Made(an_index(child.descriptor, media_type=media_type), media_type, children=(child,))
        for child, media_type in ((image, OCI_INDEX), (docker, DOCKER_LIST))
    ]
    accepts = [
        None,
        "*/*",
        OCI_INDEX,
        DOCKER_LIST,
        f"{OCI_MANIFEST}, {DOCKER_MANIFEST};q=0.5",
        f"{DOCKER_LIST};q=0, */*;q=0.1",
        "text/html",
    ]
    with registry.http() as client:
        for number, pushed in enumerate([image, docker, *lists]):
            push(client, repository, pushed, str(number))
            for accept in accepts:
                headers = {} if accept is None else {"Accept": accept}
                answer = client.get(f"/v2/{repository}/manifests/{number}", headers=headers)
                assert (answer.status_code, answer.content) == (200, pushed.content)
                assert answer.headers["content-type"] == pushed.media_type


@pytest.mark.parametrize("name", ["blobs/uploads/manifests", "manifests/blobs", "tags/list/referrers", "a/" * 100 + "b"])
def test_a_repository_may_be_called_like_a_part_of_a_path(registry: Registry, name: str, tmp_path: Path) -> None:
    image = an_image("oddly named")
    registry.create_repository(name)

    registry.push(name, image, "latest")

    with registry.http() as client:
        assert client.get(f"/v2/{name}/manifests/latest").content == image.content
        assert client.get(f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["latest"]}
        assert client.get(f"/v2/{name}/referrers/{image.digest}").status_code == 200
        assert client.get(f"/v2/{name}/blobs/{image.layers[0]}").status_code == 200


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_manifest_may_have_four_mebibytes(registry: Registry, repository: str, http_client: httpx.Client, beyond: int) -> None:
    image = an_image("large")
    registry.push(repository, image)
    size_bytes = MANIFEST_SIZE_LIMIT + beyond
    padded = image.content + b" " * (size_bytes - len(image.content))

    pushed = http_client.put(f"/v2/{repository}/manifests/1", content=padded, headers={"Content-Type": OCI_MANIFEST})

    if beyond > 0:
        assert (pushed.status_code, pushed.json()["errors"][0]["code"]) == (413, "SIZE_INVALID")
    else:
        assert pushed.status_code == 201, pushed.text
        assert http_client.get(f"/v2/{repository}/manifests/1").content == padded


def test_a_manifest_may_have_ten_thousand_annotations(registry: Registry, repository: str) -> None:
    image = an_image("annotated")
    document = json.loads(image.content) | {"annotations": {f"org.example.{number}": "value" for number in range(10_000)}}
    annotated = replace(image, content=json.dumps(document).encode())

    registry.push(repository, annotated, "1")

    assert registry.describe(repository, "1")["imageDigest"] == annotated.digest


def test_an_index_may_list_a_thousand_images(registry: Registry, repository: str, http_client: httpx.Client) -> None:
    base = an_image("child")
    for blob in base.blobs:
        push_blob(http_client, repository, blob)
    document = json.loads(base.content)
    contents = [json.dumps(document | {"annotations": {"number": str(number)}}).encode() for number in range(1000)]
    children = [replace(base, content=content) for content in contents]
    registry.push_all(repository, children)
    index = Made(an_index(*(child.descriptor for child in children)), OCI_INDEX)

    put_manifest(http_client, repository, "many", index)

    refused = http_client.delete(f"/v2/{repository}/manifests/{children[-1].digest}")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")
    assert http_client.delete(f"/v2/{repository}/manifests/{index.digest}").status_code == 202
    assert http_client.delete(f"/v2/{repository}/manifests/{children[-1].digest}").status_code == 202


def test_lists_longer_than_a_page_are_followed_to_their_end(registry: Registry, repository: str, http_client: httpx.Client) -> None:
    subject = an_image("subject of many")
    registry.push(repository, subject, "subject")
    note = an_artifact("note", subject=subject)
    for blob in note.blobs:
        push_blob(http_client, repository, blob)
    document = json.loads(note.content)
    contents = [json.dumps(document | {"annotations": {"number": str(number)}}).encode() for number in range(1010)]
    referrers = [replace(note, content=content) for content in contents]
    registry.push_all(repository, referrers)

    listed = [
        each["digest"] for page in pages(http_client, f"/v2/{repository}/referrers/{subject.digest}") for each in page["manifests"]
    ]

    assert Counter(listed) == Counter(referrer.digest for referrer in referrers)


def test_tags_are_listed_in_byte_order_over_all_pages(registry: Registry, repository: str, http_client: httpx.Client) -> None:
    image = an_image("tagged")
    registry.push(repository, image)
    tags = sorted({f"{prefix}{number}" for prefix in ("a", "a-", "a.", "A", "_", "z.") for number in range(150)})
    for first in range(0, len(tags), 100):
        pushed = http_client.put(
            f"/v2/{repository}/manifests/{image.digest}",
            params={"tag": tags[first : first + 100]},
            content=image.content,
            headers={"Content-Type": OCI_MANIFEST},
        )
        assert pushed.status_code == 201, pushed.text

    for size in (7, 100, 899, 900, 10_000):
        listed = [tag for page in pages(http_client, f"/v2/{repository}/tags/list?n={size}") for tag in page["tags"]]
        assert listed == tags


def pages(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """Follow the links of a list; they stay on the registry."""
    while path:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        path = answer.links.get("next", {}).get("url", "")
        assert not urlsplit(path).netloc
