"""Pushing blobs: every way that the specification has, and the traps of each."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ecru.blobs.store import Location
from ecru.oci.digest import digest_of
from tests.wire.serving import Server, copy_folder, serving

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 16
DIGEST = digest_of(CONTENT)
UPLOADS = "/v2/app/blobs/uploads/"


async def begin(client: httpx.AsyncClient) -> str:
    answer = await client.post(UPLOADS)
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


async def test_an_upload_begins_with_a_relative_location_and_a_truthful_range(client: httpx.AsyncClient) -> None:
    answer = await client.post(UPLOADS)

    assert answer.status_code == 202
    assert answer.headers["Location"] == UPLOADS + answer.headers["Docker-Upload-UUID"]
    assert answer.headers["Range"] == "0-0"
    assert answer.headers["Content-Length"] == "0"


async def test_a_blob_is_pushed_by_post_and_put(client: httpx.AsyncClient) -> None:
    answer = await client.put(await begin(client), params={"digest": DIGEST}, content=CONTENT)

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v2/app/blobs/{DIGEST}"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert (await client.get(answer.headers["Location"])).content == CONTENT


async def test_a_blob_is_pushed_by_a_single_post(client: httpx.AsyncClient) -> None:
    answer = await client.post(UPLOADS, params={"digest": DIGEST}, content=CONTENT)

    assert answer.status_code == 201
    assert (await client.get(f"/v2/app/blobs/{DIGEST}")).content == CONTENT


async def test_a_blob_is_streamed_in_one_patch_without_a_length(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(CONTENT), 1000):
            yield CONTENT[start : start + 1000]

    location = await begin(client)
    patched = await client.patch(location, content=pieces())
    finished = await client.put(location, params={"digest": DIGEST})

    assert (patched.status_code, patched.headers["Range"]) == (202, f"0-{len(CONTENT) - 1}")
    assert finished.status_code == 201
    assert (await client.get(f"/v2/app/blobs/{DIGEST}")).content == CONTENT


@pytest.mark.parametrize("form", ["{first}-{last}", "bytes {first}-{last}/*"])
async def test_a_blob_is_pushed_in_chunks_with_the_last_one_in_the_put(client: httpx.AsyncClient, form: str) -> None:
    location = await begin(client)
    for first in (0, 1000, 2000):
        headers = {"Content-Range": form.format(first=first, last=first + 999)}
        answer = await client.patch(location, content=CONTENT[first : first + 1000], headers=headers)
        assert (answer.status_code, answer.headers["Range"]) == (202, f"0-{first + 999}")
    headers = {"Content-Range": form.format(first=3000, last=len(CONTENT) - 1)}
    finished = await client.put(location, params={"digest": DIGEST}, content=CONTENT[3000:], headers=headers)

    assert finished.status_code == 201
    assert (await client.get(f"/v2/app/blobs/{DIGEST}")).content == CONTENT


@pytest.mark.parametrize("first", [0, 999, 1001, 4000])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_chunk_out_of_order_is_refused_and_the_upload_stands(client: httpx.AsyncClient, method: str, first: int) -> None:
    location = await begin(client)
    await client.patch(location, content=CONTENT[:1000], headers={"Content-Range": "0-999"})
    headers = {"Content-Range": f"{first}-{first + 9}"}
    refused = await client.request(method, location, params={"digest": DIGEST}, content=b"0123456789", headers=headers)
    status = await client.get(location)
    finished = await client.put(location, params={"digest": DIGEST}, content=CONTENT[1000:])

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (416, "RANGE_INVALID")
    assert (refused.headers["Range"], refused.headers["Location"]) == ("0-999", location)
    assert (status.status_code, status.headers["Range"], status.headers["Location"]) == (204, "0-999", location)
    assert finished.status_code == 201


@pytest.mark.parametrize(
    "content_range, status, code",
    [("9-0", 416, "RANGE_INVALID"), ("x-y", 416, "RANGE_INVALID"), ("0-98", 400, "SIZE_INVALID")],
)
async def test_a_faulty_content_range_is_refused(client: httpx.AsyncClient, content_range: str, status: int, code: str) -> None:
    answer = await client.patch(await begin(client), content=b"0123456789", headers={"Content-Range": content_range})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


async def test_an_empty_patch_leaves_the_range_and_the_empty_blob_can_be_pushed(client: httpx.AsyncClient) -> None:
    location = await begin(client)
    patched = await client.patch(location)
    finished = await client.put(location, params={"digest": digest_of(b"")})

    assert (patched.status_code, patched.headers["Range"]) == (202, "0-0")
    assert finished.status_code == 201
    assert (await client.get(finished.headers["Location"])).headers["Content-Length"] == "0"


@pytest.mark.parametrize("digest", [None, "sha256:abc", "md5:" + "0" * 32, "latest"])
async def test_a_put_without_a_usable_digest_is_refused(client: httpx.AsyncClient, digest: str | None) -> None:
    params = {} if digest is None else {"digest": digest}
    answer = await client.put(await begin(client), params=params, content=CONTENT)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")


async def test_bytes_with_another_digest_are_refused_and_the_client_may_send_them_again(client: httpx.AsyncClient) -> None:
    location = await begin(client)
    refused = await client.put(location, params={"digest": DIGEST}, content=CONTENT[:-1] + b"x")
    missing = await client.head(f"/v2/app/blobs/{DIGEST}")
    again = await client.put(location, params={"digest": DIGEST}, content=CONTENT)

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert missing.status_code == 404
    assert again.status_code == 201


@pytest.mark.parametrize("chunks", [1, 3])
async def test_a_blob_is_pushed_under_its_sha512(client: httpx.AsyncClient, chunks: int) -> None:
    digest = digest_of(CONTENT, "sha512")
    location = await begin(client)
    size = len(CONTENT) // chunks + 1
    for start in range(0, len(CONTENT), size):
        await client.patch(location, content=CONTENT[start : start + size])
    finished = await client.put(location, params={"digest": digest})
    pulled = await client.get(f"/v2/app/blobs/{digest}")

    assert finished.status_code == 201
    assert (pulled.content, pulled.headers["Docker-Content-Digest"]) == (CONTENT, digest)


async def test_an_unknown_digest_algorithm_is_refused_at_the_start(client: httpx.AsyncClient) -> None:
    answer = await client.post(UPLOADS, params={"digest-algorithm": "md5"})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")


async def test_a_cancelled_upload_is_gone(client: httpx.AsyncClient) -> None:
    location = await begin(client)
    await client.patch(location, content=CONTENT)
    cancelled = await client.delete(location)

    assert cancelled.status_code == 204
    for answer in (await client.get(location), await client.delete(location), await client.patch(location, content=b"x")):
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_an_upload_belongs_to_its_repository(server: Server, client: httpx.AsyncClient) -> None:
    await server.create_repository("other")
    location = await begin(client)
    answer = await client.patch(location.replace("/app/", "/other/"), content=CONTENT)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_push_to_a_repository_that_does_not_exist_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v2/nowhere/blobs/uploads/")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


async def test_a_push_over_a_corrupt_blob_heals_it(server: Server, client: httpx.AsyncClient) -> None:
    await client.post(UPLOADS, params={"digest": DIGEST}, content=CONTENT)
    [stored] = [each async for each in server.store.list(Location(""))]

    async def other() -> AsyncIterator[bytes]:
        yield CONTENT[::-1]

    await server.store.write(stored.location, other())
    assert (await client.get(f"/v2/app/blobs/{DIGEST}")).content != CONTENT

    await client.post(UPLOADS, params={"digest": DIGEST}, content=CONTENT)

    assert (await client.get(f"/v2/app/blobs/{DIGEST}")).content == CONTENT


async def test_a_blob_whose_bytes_are_cut_off_counts_as_missing(server: Server, client: httpx.AsyncClient) -> None:
    await client.post(UPLOADS, params={"digest": DIGEST}, content=CONTENT)
    [stored] = [each async for each in server.store.list(Location(""))]

    async def cut() -> AsyncIterator[bytes]:
        yield CONTENT[:-1]

    await server.store.write(stored.location, cut())

    assert (await client.head(f"/v2/app/blobs/{DIGEST}")).status_code == 404


async def test_a_layer_above_the_limit_is_refused(prepared: Path, tmp_path: Path) -> None:
    async with serving(copy_folder(prepared, tmp_path / "data"), maximum_layer_bytes=1000) as server, server.http() as client:
        await server.create_repository("app")
        for send in (client.patch, client.put):
            answer = await send(await begin(client), params={"digest": digest_of(b"x" * 1001)}, content=b"x" * 1001)
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "SIZE_INVALID")
        assert (await client.put(await begin(client), params={"digest": digest_of(b"x" * 1000)}, content=b"x" * 1000)).is_success
