"""What is the same whichever door it comes through: docs/fidelity.md."""

import json

import httpx
import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import OCI_MANIFEST
from tests.making import a_config, a_layer, a_manifest
from tests.wire.aws.caller import Caller
from tests.wire.serving import HOST, Server, push_blob

pytestmark = pytest.mark.anyio

MANIFEST = a_manifest()


@pytest.fixture
async def pushing(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of ``/v2/``, with what ``a_manifest`` needs in ``app``."""
    for content in (a_config(), a_layer()):
        await push_blob(client, "app", content)
    return client


async def push_manifest(client: httpx.AsyncClient, reference: str) -> httpx.Response:
    return await client.put(f"/v2/app/manifests/{reference}", content=MANIFEST, headers={"Content-Type": OCI_MANIFEST})


async def test_the_api_finds_an_image_by_its_sha512(server: Server, pushing: httpx.AsyncClient) -> None:
    digest = digest_of(MANIFEST, "sha512")
    assert (await push_manifest(pushing, digest)).status_code == 201
    ecr = Caller(server, "ecr")

    described = await ecr("DescribeImages", repositoryName="app", imageIds=[{"imageDigest": digest}])
    got = await ecr("BatchGetImage", repositoryName="app", imageIds=[{"imageDigest": digest}])

    assert [each["imageDigest"] for each in described["imageDetails"]] == [digest]
    assert [each["imageManifest"] for each in got["images"]] == [MANIFEST.decode()]


@pytest.mark.parametrize("length, taken", [(128, True), (129, False)])
async def test_a_tag_has_128_characters_through_both_doors(
    server: Server, pushing: httpx.AsyncClient, length: int, taken: bool
) -> None:
    ecr = Caller(server, "ecr")

    pushed = await push_manifest(pushing, "a" * length)
    if taken:
        put = await ecr("PutImage", repositoryName="app", imageManifest=MANIFEST.decode(), imageTag="b" * length)
        assert (pushed.status_code, put["image"]["imageId"]["imageTag"]) == (201, "b" * length)
    else:
        refused = await ecr.refusal("PutImage", repositoryName="app", imageManifest=MANIFEST.decode(), imageTag="b" * length)
        assert (pushed.status_code, refused.code) == (400, "InvalidParameterException")


async def test_without_a_domain_registries_are_named_by_the_host_of_the_request(server: Server, client: httpx.AsyncClient) -> None:
    for host in (HOST, "127.0.0.1:5050", "[::1]:5050"):
        ecr = Caller(server, "ecr", host=host)

        repositories = (await ecr("DescribeRepositories"))["repositories"]
        tokens = (await ecr("GetAuthorizationToken"))["authorizationData"]

        assert [each["repositoryUri"] for each in repositories] == [f"{host}/app"]
        assert [each["proxyEndpoint"] for each in tokens] == [f"http://{host}"]


async def test_what_is_pushed_through_one_door_is_listed_by_the_other(server: Server, pushing: httpx.AsyncClient) -> None:
    ecr = Caller(server, "ecr")

    await push_manifest(pushing, "from-docker")
    await ecr("PutImage", repositoryName="app", imageManifest=MANIFEST.decode(), imageTag="from-the-api")
    listed = await ecr("ListImages", repositoryName="app")
    tags = json.loads((await pushing.get("/v2/app/tags/list")).content)["tags"]

    assert sorted(each["imageTag"] for each in listed["imageIds"]) == tags == ["from-docker", "from-the-api"]
