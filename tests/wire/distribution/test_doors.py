"""Who gets in, what is found, and the lists."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from ecru.blobs.layout import EVERYTHING
from ecru.metadata import accounts
from ecru.oci.digest import digest_of
from ecru.oci.media_types import OCI_MANIFEST
from ecru.policy.arn import AccountId, Region
from tests.making import a_config, a_layer, a_manifest
from tests.wire.serving import HOME, HOST, ROOT, Server, basic, push_blob

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic !!!", "Bearer abc", basic("nonsense"), basic("a.b.c"), "Basic " + "A" * 5000],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_without_usable_credentials_there_is_a_challenge(server: Server, authorization: str | None, method: str) -> None:
    async with server.http(authorization=authorization) as client:
        answer = await client.request(method, "/v2/app/manifests/v1")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Basic realm="http://{HOST}/",service="ecr.amazonaws.com"'
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    if method == "GET":
        assert answer.json()["errors"][0]["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
async def test_a_valid_token_is_welcome(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, {})


async def test_a_token_ends_after_twelve_hours(server: Server) -> None:
    before = datetime.now(UTC) - timedelta(hours=12, seconds=1)
    async with server.http(authorization=basic(server.token(now=before))) as client:
        answer = await client.get("/v2/")

    assert answer.status_code == 401
    assert "expired" in answer.json()["errors"][0]["message"]


async def test_a_token_ends_with_the_credentials_that_asked_for_it(server: Server) -> None:
    ended = datetime.now(UTC) - timedelta(seconds=1)
    async with server.http(authorization=basic(server.token(ends_at=ended))) as client:
        assert (await client.get("/v2/")).status_code == 401


@pytest.mark.parametrize("position", [3, 30, -3])
async def test_a_changed_token_is_refused(server: Server, position: int) -> None:
    token = server.token()
    changed = list(token)
    changed[position] = "A" if changed[position] != "A" else "B"
    async with server.http(authorization=basic("".join(changed))) as client:
        assert (await client.get("/v2/")).status_code == 401


async def test_a_token_dies_the_moment_its_access_key_does(server: Server, client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/")).status_code == 200
    await server.database.write(accounts.set_access_key_active, ROOT.access_key_id, active=False)

    assert (await client.get("/v2/")).status_code == 401


async def test_a_token_fits_the_stores_of_credential_helpers(server: Server) -> None:
    token = server.token()

    assert len(token) < 1000
    assert ":" not in token


async def test_another_accounts_host_name_is_forbidden_whether_or_not_the_repository_exists(server: Server) -> None:
    async with server.http(host="111111111111.dkr.ecr.us-east-1.amazonaws.com") as client:
        answer = await client.get("/v2/app/tags/list")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")
    assert "arn:aws:ecr:us-east-1:111111111111:repository/app" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("suffix", ["amazonaws.com", "example.test:5050", "localhost"])
async def test_a_host_name_of_any_suffix_names_the_registry(server: Server, suffix: str) -> None:
    await server.create_repository("app")
    async with server.http(host=f"000000000000.dkr.ecr.us-east-1.{suffix}") as client:
        assert (await client.get("/v2/app/tags/list")).status_code == 200


async def test_a_token_of_another_region_is_refused(server: Server) -> None:
    async with server.http(
        authorization=basic(server.token(region=Region("eu-west-1"))), host="000000000000.dkr.ecr.us-east-1.localhost"
    ) as client:
        assert (await client.get("/v2/")).status_code == 401


async def test_a_token_for_an_account_that_its_key_does_not_belong_to_is_refused(server: Server) -> None:
    async with server.http(authorization=basic(server.token(account_id=AccountId("111111111111")))) as client:
        assert (await client.get("/v2/")).status_code == 401


@pytest.mark.parametrize(
    "path, status, code",
    [
        ("/v2/UPPER/tags/list", 400, "NAME_INVALID"),
        ("/v2/a//b/tags/list", 400, "NAME_INVALID"),
        ("/v2/a%00b/tags/list", 400, "NAME_INVALID"),
        ("/v2/%2e%2e/tags/list", 400, "NAME_INVALID"),
        ("/v2/" + "a" * 257 + "/tags/list", 400, "NAME_INVALID"),
        ("/v2/" + "a" * 256 + "/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/app/nothing", 404, "NAME_UNKNOWN"),
        ("/v2/_oci/ext/discover", 404, "NAME_UNKNOWN"),
    ],
)
async def test_odd_paths_get_an_error_of_the_specification(client: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


async def test_a_method_that_is_not_allowed_names_those_that_are(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v2/app/tags/list")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("name", ["blobs/uploads/manifests", "a/blobs/b", "tags/list/referrers", "v2/v2", "a--b/c__d/e.f"])
async def test_a_repository_may_be_called_like_an_endpoint(server: Server, client: httpx.AsyncClient, name: str) -> None:
    await server.create_repository(name)
    for content in (a_layer(), a_config()):
        digest = await push_blob(client, name, content)
        assert (await client.get(f"/v2/{name}/blobs/{digest}")).content == content
    content = a_manifest()
    await client.put(f"/v2/{name}/manifests/v1", content=content, headers={"Content-Type": OCI_MANIFEST})

    assert (await client.get(f"/v2/{name}/manifests/v1")).content == content
    assert (await client.get(f"/v2/{name}/tags/list")).json() == {"name": name, "tags": ["v1"]}


# --- lists ----------------------------------------------------------------------------------------------------------

TAGS = sorted(["a", "a-b", "a.b", "A", "_x", "Z9", "a1", "b"])


@pytest.fixture
async def tagged(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client, and an image with many tags in ``app``."""
    for content in (a_layer(), a_config()):
        await push_blob(client, "app", content)
    content = a_manifest()
    query = "&".join(f"tag={tag}" for tag in TAGS)
    answer = await client.put(
        f"/v2/app/manifests/{digest_of(content)}?{query}", content=content, headers={"Content-Type": OCI_MANIFEST}
    )
    assert answer.status_code == 201
    return client


async def test_tags_are_listed_in_byte_order(tagged: httpx.AsyncClient) -> None:
    assert (await tagged.get("/v2/app/tags/list")).json() == {"name": "app", "tags": TAGS}


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9])
async def test_pages_of_tags_lose_and_repeat_nothing(tagged: httpx.AsyncClient, size: int) -> None:
    found, path = list[str](), f"/v2/app/tags/list?n={size}"
    while path:
        answer = await tagged.get(path)
        page = answer.json()["tags"]
        assert len(page) <= size
        found += page
        path = answer.headers["Link"].partition(">")[0].removeprefix("<") if "Link" in answer.headers else ""

    assert found == TAGS


@pytest.mark.parametrize(
    "query, tags",
    [("n=0", []), ("last=a-b", TAGS[TAGS.index("a-b") + 1 :]), ("last=a-bb", TAGS[TAGS.index("a.b") :]), ("last=zz", [])],
)
async def test_a_page_of_tags_begins_after_the_last_one(tagged: httpx.AsyncClient, query: str, tags: list[str]) -> None:
    answer = await tagged.get(f"/v2/app/tags/list?{query}")

    assert answer.json()["tags"] == tags
    assert "Link" not in answer.headers


@pytest.mark.parametrize("size", ["-1", "x", "1.5", "9" * 50, "٣"])
async def test_a_page_size_that_is_no_number_is_refused(client: httpx.AsyncClient, size: str) -> None:
    answer = await client.get("/v2/app/tags/list", params={"n": size})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "PAGINATION_NUMBER_INVALID")


async def test_an_empty_repository_has_an_empty_list_of_tags(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/app/tags/list")).json() == {"name": "app", "tags": []}


async def test_the_catalog_lists_repositories_in_pages(server: Server, client: httpx.AsyncClient) -> None:
    for name in ("b", "a/b", "a-c"):
        await server.create_repository(name)
    first = await client.get("/v2/_catalog?n=2")
    second = await client.get(first.headers["Link"].partition(">")[0].removeprefix("<"))

    assert first.json()["repositories"] + second.json()["repositories"] == sorted(["app", "b", "a/b", "a-c"])
    assert "Link" not in second.headers


# --- blobs ----------------------------------------------------------------------------------------------------------

BLOB = bytes(range(256)) * 8


@pytest.mark.parametrize(
    "given, expected, content_range",
    [
        ("bytes=500-1499", BLOB[500:1500], "bytes 500-1499/2048"),
        ("bytes=500-", BLOB[500:], "bytes 500-2047/2048"),
        ("bytes=-500", BLOB[-500:], "bytes 1548-2047/2048"),
        ("bytes=2000-5000", BLOB[2000:], "bytes 2000-2047/2048"),
    ],
)
async def test_a_range_of_a_blob_is_served(client: httpx.AsyncClient, given: str, expected: bytes, content_range: str) -> None:
    digest = await push_blob(client, "app", BLOB)
    answer = await client.get(f"/v2/app/blobs/{digest}", headers={"Range": given})

    assert (answer.status_code, answer.content) == (206, expected)
    assert (answer.headers["Content-Range"], answer.headers["Content-Length"]) == (content_range, str(len(expected)))


@pytest.mark.parametrize("given", ["bytes=500-0", "bytes=5000-10000", "bytes=2048-"])
async def test_a_range_outside_a_blob_is_refused_with_its_size(client: httpx.AsyncClient, given: str) -> None:
    digest = await push_blob(client, "app", BLOB)
    answer = await client.get(f"/v2/app/blobs/{digest}", headers={"Range": given})

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */2048")


@pytest.mark.parametrize(
    "headers",
    [{"Range": "bytes=0-1,3-4"}, {"Range": "lines=0-1"}, {"Range": "bytes=0-1", "If-Range": '"sha256:other"'}],
)
async def test_what_is_no_single_range_of_this_blob_gets_the_whole(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    digest = await push_blob(client, "app", BLOB)
    answer = await client.get(f"/v2/app/blobs/{digest}", headers=headers)

    assert (answer.status_code, answer.content) == (200, BLOB)
    assert "Content-Encoding" not in answer.headers


async def test_if_range_with_the_digest_gets_the_range(client: httpx.AsyncClient) -> None:
    digest = await push_blob(client, "app", BLOB)
    headers = {"Range": "bytes=0-1", "If-Range": f'"{digest}"'}

    assert (await client.get(f"/v2/app/blobs/{digest}", headers=headers)).content == BLOB[:2]


async def test_a_blob_is_served_only_by_a_repository_that_has_it(server: Server, client: httpx.AsyncClient) -> None:
    await server.create_repository("other")
    digest = await push_blob(client, "app", BLOB)
    answer = await client.get(f"/v2/other/blobs/{digest}")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")


async def test_a_deleted_blob_is_gone_and_can_be_pushed_again(client: httpx.AsyncClient) -> None:
    digest = await push_blob(client, "app", BLOB)
    deleted = await client.delete(f"/v2/app/blobs/{digest}")

    assert deleted.status_code == 202
    assert (await client.head(f"/v2/app/blobs/{digest}")).status_code == 404
    assert (await client.delete(f"/v2/app/blobs/{digest}")).status_code == 404
    await push_blob(client, "app", BLOB)
    assert (await client.get(f"/v2/app/blobs/{digest}")).content == BLOB


async def test_a_blob_that_an_image_needs_cannot_be_deleted(client: httpx.AsyncClient) -> None:
    layer = await push_blob(client, "app", a_layer())
    await push_blob(client, "app", a_config())
    await client.put("/v2/app/manifests/v1", content=a_manifest(), headers={"Content-Type": OCI_MANIFEST})
    answer = await client.delete(f"/v2/app/blobs/{layer}")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")


# --- mount ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def source(server: Server, client: httpx.AsyncClient) -> str:
    """A blob in the repository ``source``, and mounting switched on."""
    await server.create_repository("source")
    await server.database.write(accounts.put_setting, HOME, "BLOB_MOUNTING", "ENABLED")
    return await push_blob(client, "source", BLOB)


async def test_a_blob_is_mounted_where_the_account_allows_it(client: httpx.AsyncClient, source: str) -> None:
    answer = await client.post("/v2/app/blobs/uploads/", params={"mount": source, "from": "source"})

    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v2/app/blobs/{source}")
    assert answer.headers["Docker-Content-Digest"] == source
    assert (await client.get(f"/v2/app/blobs/{source}")).content == BLOB


@pytest.mark.parametrize(
    "changed",
    [{"from": "nowhere"}, {"from": ""}, {"from": "UPPER"}, {"mount": digest_of(b"other")}, {"mount": "sha256:x"}, {"from": None}],
)
async def test_what_cannot_be_mounted_becomes_an_ordinary_upload(
    client: httpx.AsyncClient, source: str, changed: dict[str, str | None]
) -> None:
    params = {"mount": source, "from": "source", **changed}
    answer = await client.post("/v2/app/blobs/uploads/", params={k: v for k, v in params.items() if v is not None})
    finished = await client.put(answer.headers["Location"], params={"digest": digest_of(BLOB)}, content=BLOB)

    assert (answer.status_code, finished.status_code) == (202, 201)


async def test_nothing_is_mounted_where_the_account_does_not_allow_it(
    server: Server, client: httpx.AsyncClient, source: str
) -> None:
    await server.database.write(accounts.put_setting, HOME, "BLOB_MOUNTING", "DISABLED")
    answer = await client.post("/v2/app/blobs/uploads/", params={"mount": source, "from": "source"})

    assert answer.status_code == 202


async def test_a_blob_whose_bytes_are_gone_is_not_mounted(server: Server, client: httpx.AsyncClient, source: str) -> None:
    """A row alone must not tell a client to skip its upload."""
    stored = [each.location async for each in server.store.list(EVERYTHING)]
    await server.store.delete(stored)
    answer = await client.post("/v2/app/blobs/uploads/", params={"mount": source, "from": "source"})

    assert answer.status_code == 202
