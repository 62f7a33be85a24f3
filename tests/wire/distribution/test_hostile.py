"""What no honest client sends: each of it is refused with an error of its own, and none is a fault of the server."""

import asyncio
import base64
import json

import httpx
import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import OCI_INDEX, OCI_MANIFEST
from tests.wire.serving import Server

pytestmark = pytest.mark.anyio

_ABSENT = digest_of(b"absent")
_BEYOND = base64.urlsafe_b64encode(str(2**63).encode()).decode()


@pytest.mark.parametrize(
    "method, target, status",
    [
        ("GET", "/v2/app/tags/list?last=%00", 400),
        ("GET", "/v2/app/tags/list?last=%ff%fe", 200),
        ("GET", "/v2/app/tags/list?n=99999999999999999999999", 400),
        ("GET", "/v2/app/tags/list?n=-1", 400),
        ("GET", "/v2/app/tags/list?n=%D9%A3", 400),
        ("GET", "/v2/_catalog?last=%00", 400),
        ("GET", f"/v2/app/referrers/{_ABSENT}?artifactType=%00", 400),
        ("GET", f"/v2/app/referrers/{_ABSENT}?after={_BEYOND}", 400),
        ("GET", f"/v2/app/referrers/{_ABSENT}?after=%C3%A9", 400),
        ("GET", f"/v2/app/referrers/{_ABSENT}?after=LTE=", 400),
        ("GET", "/v2/app/blobs/uploads/%00", 404),
        ("PATCH", "/v2/app/blobs/uploads/%00", 404),
        ("PUT", f"/v2/app/blobs/uploads/%00?digest={_ABSENT}", 404),
        ("DELETE", "/v2/app/blobs/uploads/%00", 404),
        ("GET", "/v2/app/manifests/%00", 404),
        ("DELETE", "/v2/app/manifests/%00", 404),
        ("GET", "/v2/app%00/tags/list", 400),
        ("POST", f"/v2/app/blobs/uploads/?mount={_ABSENT}&from=%00", 400),
        ("POST", "/v2/app/blobs/uploads/?digest=%00", 400),
        ("GET", "/v2/app/tags/list?" + "&".join(["n=1"] * 101), 400),
    ],
)
async def test_what_no_column_holds_is_refused(client: httpx.AsyncClient, method: str, target: str, status: int) -> None:
    answer = await client.request(method, target)

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("authorization", ["Basic \u00e9\u00e9\u00e9\u00e9", "Basic QVdTOuk=", "Basic QVdTOmEuYi7pqQ=="])
async def test_credentials_that_are_no_ascii_are_refused(server: Server, authorization: str) -> None:
    async with server.http(authorization=None) as client:
        answer = await client.get("/v2/", headers=[(b"authorization", authorization.encode("latin-1"))])

    assert answer.status_code == 401


@pytest.mark.parametrize("media_type, members", [(OCI_MANIFEST, "layers"), (OCI_INDEX, "manifests")])
async def test_a_manifest_of_more_parts_than_any_has_is_refused(client: httpx.AsyncClient, media_type: str, members: str) -> None:
    part = {"mediaType": "a/b", "size": 1}
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        members: [{**part, "digest": f"sha256:{number:064x}"} for number in range(33_000)],
    }
    if members == "layers":
        document["config"] = {**part, "digest": _ABSENT}

    answer = await client.put("/v2/app/manifests/v1", content=json.dumps(document, separators=(",", ":")))

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "MANIFEST_INVALID")


async def test_others_are_answered_while_a_large_manifest_is_read(client: httpx.AsyncClient) -> None:
    content = b'{"schemaVersion":2,"unknown":[' + b'"",' * 1_300_000 + b'""]}'
    pushing = asyncio.create_task(client.put("/v2/app/manifests/v1", content=content))
    turns = 0
    while not pushing.done():
        await asyncio.sleep(0)
        turns += 1

    assert pushing.result().status_code == 400
    assert turns > 1_000
