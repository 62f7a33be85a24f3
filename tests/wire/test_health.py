"""Health, readiness, metrics, request ids and proxies, over the whole application."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from typing_extensions import override

from ecru.blobs.memory import MemoryStore
from ecru.blobs.store import StoreUnavailable
from tests.wire.serving import Server, copy_folder, serving

pytestmark = pytest.mark.anyio


def from_peer(server: Server, peer: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=server.app, client=(peer, 49152))
    return httpx.AsyncClient(transport=transport, base_url="http://registry.test:5050")


@pytest.fixture
async def behind_proxy(prepared: Path, tmp_path: Path) -> AsyncIterator[Server]:
    """A server that trusts a proxy at 10.0.0.1."""
    async with serving(copy_folder(prepared, tmp_path / "data"), trusted_proxies="10.0.0.1") as running:
        yield running


class Unreachable(MemoryStore):
    """A store whose network is gone, or hangs."""

    def __init__(self, *, hangs: bool) -> None:
        super().__init__()
        self._hangs = hangs
        self.asked = 0

    @override
    async def check(self) -> None:
        self.asked += 1
        if self._hangs:
            await asyncio.Event().wait()
        raise StoreUnavailable("s3://secret-bucket", "no route to host", "see the network")


@pytest.mark.parametrize("path, text", [("/healthz", "ok\n"), ("/readyz", "ready\n")])
async def test_health_and_readiness_need_no_credentials(server: Server, path: str, text: str) -> None:
    async with server.http(authorization=None) as http:
        answer = await http.get(path)

    assert (answer.status_code, answer.text) == (200, text)


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_an_unreachable_store_is_not_ready_and_tells_nothing_else(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr("ecru.app.CHECK_SECONDS", 0.2)
    store = Unreachable(hangs=hangs)

    async with serving(copy_folder(prepared, tmp_path / "data"), store=store) as server, server.http(authorization=None) as http:
        answers = [await http.get("/readyz") for _ in range(5)]
        alive = await http.get("/healthz")

    assert {(answer.status_code, answer.text) for answer in answers} == {(503, "not ready\n")}
    assert store.asked < 5
    assert alive.status_code == 200


async def test_every_answer_has_a_request_id_of_its_own(server: Server) -> None:
    async with server.http(authorization=None) as http:
        answers = [await http.get(path) for path in ("/healthz", "/v2/", "/nowhere", "/v2/a/manifests/b")]

    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 4


async def test_an_unknown_path_is_not_found(server: Server) -> None:
    async with server.http(authorization=None) as http:
        answer = await http.get("/nowhere")

    assert answer.status_code == 404


# --- metrics --------------------------------------------------------------------------------------------------------


async def test_metrics_count_requests_by_route_and_status_with_their_time(server: Server) -> None:
    async with from_peer(server, "127.0.0.1") as http:
        await http.get("/v2/")
        text = (await http.get("/metrics")).text

    assert 'ecru_requests_total{route="GET /v2/",status="401"}' in text
    assert 'ecru_request_seconds_bucket{le="0.005",route="GET /v2/"}' in text
    for name in ("ecru_received_bytes_total", "ecru_offered_bytes_total", "ecru_uploads_open", "ecru_writer_queue"):
        assert f"\n{name} " in text


async def test_metrics_count_the_uploads_that_are_open(server: Server) -> None:
    await server.create_repository("app")
    async with server.http() as client, from_peer(server, "127.0.0.1") as http:
        begun = await client.post("/v2/app/blobs/uploads/")
        open_uploads = (await http.get("/metrics")).text
        await client.delete(begun.headers["location"])
        no_uploads = (await http.get("/metrics")).text

    assert "\necru_uploads_open 1.0\n" in open_uploads
    assert "\necru_uploads_open 0.0\n" in no_uploads


@pytest.mark.parametrize("path", ["/v2/whatever/is-asked/for", "/a/path/of/the/client"])
async def test_metrics_have_no_route_that_a_client_invents(server: Server, path: str) -> None:
    async with from_peer(server, "127.0.0.1") as http:
        await http.get(path)
        text = (await http.get("/metrics")).text

    assert path not in text


@pytest.mark.parametrize(
    "access, peer, headers, status",
    [
        ("loopback", "127.0.0.1", {}, 200),
        ("loopback", "::1", {}, 200),
        ("loopback", "198.51.100.7", {}, 403),
        # A proxy on this machine that nobody has told us of.
        ("loopback", "127.0.0.1", {"X-Forwarded-For": "198.51.100.7"}, 403),
        ("loopback", "198.51.100.7", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("open", "198.51.100.7", {}, 200),
        ("off", "127.0.0.1", {}, 404),
    ],
)
async def test_metrics_are_for_whom_the_setting_says(
    prepared: Path, tmp_path: Path, access: str, peer: str, headers: dict[str, str], status: int
) -> None:
    async with serving(copy_folder(prepared, tmp_path / "data"), metrics=access) as server, from_peer(server, peer) as http:
        answer = await http.get("/metrics", headers=headers)

    assert answer.status_code == status


# --- proxies --------------------------------------------------------------------------------------------------------

SAID = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "registry.example.com", "X-Forwarded-For": "198.51.100.7"}


async def test_a_trusted_proxy_decides_what_clients_are_told_of_the_address(behind_proxy: Server) -> None:
    async with from_peer(behind_proxy, "10.0.0.1") as http:
        answer = await http.get("/v2/", headers=SAID)

    assert 'realm="https://registry.example.com/"' in answer.headers["www-authenticate"]


async def test_nobody_else_decides_what_clients_are_told_of_the_address(behind_proxy: Server) -> None:
    async with from_peer(behind_proxy, "10.0.0.2") as http:
        answer = await http.get("/v2/", headers=SAID)

    assert 'realm="http://registry.test:5050/"' in answer.headers["www-authenticate"]


async def test_a_client_behind_a_trusted_proxy_is_not_local(behind_proxy: Server) -> None:
    async with from_peer(behind_proxy, "10.0.0.1") as http:
        answer = await http.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})

    assert answer.status_code == 403
