"""Layers through the API: availability, uploads in parts, and download URLs."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ecru.oci.digest import digest_of
from tests.making import a_config, a_layer, a_manifest
from tests.wire.aws.caller import Caller, push_image, push_layer
from tests.wire.serving import Server, copy_folder, push_blob, serving

pytestmark = pytest.mark.anyio

LAYER = a_layer()
DIGEST = digest_of(LAYER)
ABSENT = digest_of(b"absent")
NO_UPLOAD = "00000000-0000-0000-0000-000000000000"
MEBIBYTE = 2**20


async def begin(ecr: Caller) -> dict[str, str]:
    upload = await ecr("InitiateLayerUpload", repositoryName="app")
    return {"repositoryName": "app", "uploadId": upload["uploadId"]}


async def part(ecr: Caller, where: dict[str, str], first: int, content: bytes) -> dict[str, Any]:
    return await ecr("UploadLayerPart", **where, partFirstByte=first, partLastByte=first + len(content) - 1, layerPartBlob=content)


async def test_an_upload_says_how_large_its_parts_should_be(ecr: Caller) -> None:
    upload = await ecr("InitiateLayerUpload", repositoryName="app")

    assert upload["partSize"] == 10 * MEBIBYTE


async def test_a_layer_is_pushed_in_parts_and_pulled_through_the_other_door(server: Server, ecr: Caller) -> None:
    first, last = b"a" * (5 * MEBIBYTE), b"b" * 100
    where = await begin(ecr)
    one = await part(ecr, where, 0, first)
    two = await part(ecr, where, len(first), last)
    completed = await ecr("CompleteLayerUpload", **where, layerDigests=[digest_of(first + last)])
    async with server.http() as http:
        pulled = await http.get(f"/v2/app/blobs/{completed['layerDigest']}")

    assert one == {"registryId": "000000000000", **where, "lastByteReceived": len(first) - 1}
    assert two["lastByteReceived"] == len(first) + len(last) - 1
    assert pulled.content == first + last


async def test_a_part_of_20_mib_is_taken_and_a_larger_one_is_not(ecr: Caller) -> None:
    where = await begin(ecr)
    largest = b"a" * (20 * MEBIBYTE)
    taken = await part(ecr, where, 0, largest)
    refusal = await ecr.refusal(
        "UploadLayerPart",
        **where,
        partFirstByte=len(largest),
        partLastByte=2 * len(largest),
        layerPartBlob=largest + b"a",
    )

    assert taken["lastByteReceived"] == len(largest) - 1
    assert refusal.code == "InvalidParameterException"


async def test_a_layer_is_at_most_as_large_as_its_limit(prepared: Path, database: dict[str, Any], tmp_path: Path) -> None:
    async with serving(copy_folder(prepared, tmp_path / "data"), **database, maximum_layer_bytes=100) as server:
        ecr = Caller(server, "ecr")
        await server.create_repository("app")
        where = await begin(ecr)
        await part(ecr, where, 0, b"x" * 60)
        given = {"partFirstByte": 60, "partLastByte": 119, "layerPartBlob": b"x" * 60}
        refusal = await ecr.refusal("UploadLayerPart", **where, **given)
        await part(ecr, where, 60, b"x" * 40)

    assert refusal.code == "LimitExceededException"


@pytest.mark.parametrize(
    "first, last, content",
    [(0, 9, b"x" * 10), (11, 20, b"x" * 10), (10, 20, b"x" * 10), (10, 18, b"x" * 10), (12, 5, b"x"), (10, 9, b""), (1, 0, b"")],
    ids=["overlap", "gap", "longer range", "shorter range", "backwards", "empty", "empty elsewhere"],
)
async def test_a_part_that_does_not_continue_says_where_to_go_on(ecr: Caller, first: int, last: int, content: bytes) -> None:
    where = await begin(ecr)
    await part(ecr, where, 0, b"x" * 10)
    given = {"partFirstByte": first, "partLastByte": last, "layerPartBlob": content}
    refusal = await ecr.refusal("UploadLayerPart", **where, **given)
    await part(ecr, where, 10, b"y")

    assert refusal.code == "InvalidLayerPartException"
    members = {name: refusal.document[name] for name in ("registryId", "repositoryName", "uploadId", "lastValidByteReceived")}
    assert members == {"registryId": "000000000000", **where, "lastValidByteReceived": 9}


async def test_of_two_parts_at_once_one_is_taken(ecr: Caller) -> None:
    where = await begin(ecr)
    outcomes = await asyncio.gather(*(part(ecr, where, 0, b"x" * 10) for _ in range(2)), return_exceptions=True)

    assert [getattr(each, "code", "taken") for each in sorted(outcomes, key=str)].count("InvalidLayerPartException") == 1


@pytest.mark.parametrize(
    "name, members",
    [
        ("UploadLayerPart", {"partFirstByte": 0, "partLastByte": 0, "layerPartBlob": b"x"}),
        ("UploadLayerPart", {"partFirstByte": 0, "partLastByte": 5, "layerPartBlob": b"x"}),
        ("CompleteLayerUpload", {"layerDigests": [DIGEST]}),
    ],
)
@pytest.mark.parametrize(
    "where, code",
    [
        ({"repositoryName": "app", "uploadId": NO_UPLOAD}, "UploadNotFoundException"),
        ({"repositoryName": "app", "uploadId": "nonsense"}, "InvalidParameterException"),
        ({"repositoryName": "missing", "uploadId": NO_UPLOAD}, "RepositoryNotFoundException"),
        ({"repositoryName": "app", "uploadId": NO_UPLOAD, "registryId": "111111111111"}, "AccessDeniedException"),
    ],
)
async def test_an_upload_must_be_there(ecr: Caller, name: str, members: dict[str, Any], where: dict[str, str], code: str) -> None:
    assert (await ecr.refusal(name, **where, **members)).code == code


async def test_an_upload_belongs_to_its_repository(server: Server, ecr: Caller) -> None:
    await server.create_repository("other")
    where = await begin(ecr)
    refusal = await ecr.refusal("CompleteLayerUpload", **{**where, "repositoryName": "other"}, layerDigests=[DIGEST])

    assert refusal.code == "UploadNotFoundException"


async def test_a_finished_upload_is_gone(ecr: Caller) -> None:
    where = await begin(ecr)
    await part(ecr, where, 0, LAYER)
    await ecr("CompleteLayerUpload", **where, layerDigests=[DIGEST])

    assert (await ecr.refusal("CompleteLayerUpload", **where, layerDigests=[DIGEST])).code == "UploadNotFoundException"


async def test_a_layer_without_parts_is_refused(ecr: Caller) -> None:
    where = await begin(ecr)

    assert (await ecr.refusal("CompleteLayerUpload", **where, layerDigests=[DIGEST])).code == "EmptyUploadException"


async def test_a_part_before_the_last_must_not_be_small(ecr: Caller) -> None:
    where = await begin(ecr)
    await part(ecr, where, 0, LAYER[:10])
    await part(ecr, where, 10, LAYER[10:])

    assert (await ecr.refusal("CompleteLayerUpload", **where, layerDigests=[DIGEST])).code == "LayerPartTooSmallException"


async def test_bytes_with_another_digest_are_refused_and_the_right_digest_taken(ecr: Caller) -> None:
    where = await begin(ecr)
    await part(ecr, where, 0, LAYER)
    refusal = await ecr.refusal("CompleteLayerUpload", **where, layerDigests=[ABSENT])
    completed = await ecr("CompleteLayerUpload", **where, layerDigests=[DIGEST])

    assert refusal.code == "InvalidLayerException"
    assert completed["layerDigest"] == DIGEST


@pytest.mark.parametrize("digests", [[], ["nonsense"], ["md5:00"], ["sha256:00"], [DIGEST] * 101])
async def test_a_digest_must_be_one(ecr: Caller, digests: list[str]) -> None:
    where = await begin(ecr)
    await part(ecr, where, 0, LAYER)

    assert (await ecr.refusal("CompleteLayerUpload", **where, layerDigests=digests)).code == "InvalidParameterException"


async def test_a_layer_that_is_there_is_said_to_be_and_usable(ecr: Caller) -> None:
    await push_layer(ecr, LAYER)
    where = await begin(ecr)
    await part(ecr, where, 0, LAYER)
    refusal = await ecr.refusal("CompleteLayerUpload", **where, layerDigests=[DIGEST])

    assert refusal.code == "LayerAlreadyExistsException"
    checked = await ecr("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[DIGEST])
    assert checked["layers"][0]["layerAvailability"] == "AVAILABLE"


async def test_availability_is_told_for_each_layer(ecr: Caller) -> None:
    await push_layer(ecr, LAYER)
    checked = await ecr("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[DIGEST, ABSENT, "nonsense", ""])
    layers = {each["layerDigest"]: each for each in checked["layers"]}
    failures = {each["layerDigest"]: each["failureCode"] for each in checked["failures"]}

    assert layers[DIGEST]["layerAvailability"] == "AVAILABLE"
    assert layers[DIGEST]["layerSize"] == len(LAYER)
    assert layers[DIGEST]["mediaType"]
    assert layers[ABSENT] == {"layerDigest": ABSENT, "layerAvailability": "UNAVAILABLE"}
    assert failures == {"nonsense": "InvalidLayerDigest", "": "MissingLayerDigest"}


async def test_a_layer_of_another_repository_is_unavailable(server: Server, ecr: Caller) -> None:
    await server.create_repository("other")
    await push_layer(ecr, LAYER, repository="other")
    checked = await ecr("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[DIGEST])

    assert [each["layerAvailability"] for each in checked["layers"]] == ["UNAVAILABLE"]


async def test_a_layer_whose_bytes_are_gone_is_unavailable_so_that_a_push_heals_it(server: Server, ecr: Caller) -> None:
    await push_layer(ecr, LAYER)
    await server.store.delete([each.location async for each in server.store.list(prefix="")])  # type: ignore[arg-type]
    lost = await ecr("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[DIGEST])
    where = await begin(ecr)
    await part(ecr, where, 0, LAYER)
    await ecr.refusal("CompleteLayerUpload", **where, layerDigests=[DIGEST])
    healed = await ecr("BatchCheckLayerAvailability", repositoryName="app", layerDigests=[DIGEST])

    assert lost["layers"][0]["layerAvailability"] == "UNAVAILABLE"
    assert healed["layers"][0]["layerAvailability"] == "AVAILABLE"


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"layerDigests": []}, "InvalidParameterException"),
        ({"layerDigests": [DIGEST] * 101}, "InvalidParameterException"),
        ({"layerDigests": ["x" * 1001]}, "InvalidParameterException"),
        ({"layerDigests": [1]}, "SerializationException"),
    ],
)
async def test_a_question_about_layers_that_makes_no_sense_is_refused(ecr: Caller, members: dict[str, Any], code: str) -> None:
    given = {"repositoryName": "app", "layerDigests": [DIGEST], **members}

    assert (await ecr.refusal("BatchCheckLayerAvailability", **given)).code == code


async def download(server: Server, url: str, **headers: str) -> httpx.Response:
    async with server.http(authorization=None) as http:
        return await http.get(url, headers=headers)


async def test_a_download_url_needs_no_credentials_and_answers_ranges(server: Server, ecr: Caller) -> None:
    await push_image(ecr, tag="v1")
    answer = await ecr("GetDownloadUrlForLayer", repositoryName="app", layerDigest=DIGEST)
    whole = await download(server, answer["downloadUrl"])
    some = await download(server, answer["downloadUrl"], Range="bytes=2-5")

    assert answer["layerDigest"] == DIGEST
    assert whole.content == LAYER
    assert (some.status_code, some.content) == (206, LAYER[2:6])


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.partition("?")[0],
        lambda url: url.replace("ends=1", "ends=2"),
        lambda url: url.replace("/app@", "/other@"),
        lambda url: url.replace(DIGEST, digest_of(a_config())),
    ],
    ids=["signature", "no signature", "end", "repository", "digest"],
)
async def test_a_changed_download_url_is_refused(server: Server, ecr: Caller, change: Any) -> None:  # noqa: ANN401 - a lambda
    await push_image(ecr, tag="v1")
    answer = await ecr("GetDownloadUrlForLayer", repositoryName="app", layerDigest=DIGEST)
    changed = change(answer["downloadUrl"])

    assert urlsplit(changed) != urlsplit(answer["downloadUrl"])
    assert (await download(server, changed)).status_code == 403


async def test_a_layer_no_image_needs_yet_is_inaccessible_in_the_api_and_served_on_v2(server: Server, ecr: Caller) -> None:
    await push_layer(ecr, LAYER)
    refusal = await ecr.refusal("GetDownloadUrlForLayer", repositoryName="app", layerDigest=DIGEST)
    async with server.http() as http:
        served = await http.get(f"/v2/app/blobs/{DIGEST}")

    assert refusal.code == "LayerInaccessibleException"
    assert served.status_code == 200


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"layerDigest": ABSENT}, "LayersNotFoundException"),
        ({"layerDigest": "nonsense"}, "InvalidParameterException"),
        ({"layerDigest": "md5:00"}, "InvalidParameterException"),
        ({"layerDigest": None}, "InvalidParameterException"),
    ],
)
async def test_a_layer_must_be_there_to_be_downloaded(ecr: Caller, members: dict[str, Any], code: str) -> None:
    given = {"repositoryName": "app", "layerDigest": DIGEST, **members}

    assert (await ecr.refusal("GetDownloadUrlForLayer", **given)).code == code


async def test_a_layer_pushed_through_v2_is_there_for_the_api(server: Server, ecr: Caller) -> None:
    async with server.http() as http:
        for content in (LAYER, a_config()):
            await push_blob(http, "app", content)
    put = await ecr("PutImage", repositoryName="app", imageManifest=a_manifest().decode(), imageTag="v1")
    async with server.http() as http:
        pulled = await http.get("/v2/app/manifests/v1")

    assert pulled.content == a_manifest()
    assert put["image"]["imageId"]["imageDigest"] == pulled.headers["Docker-Content-Digest"]
