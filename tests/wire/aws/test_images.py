"""PutImage, BatchGetImage, BatchDeleteImage, DescribeImages, ListImages and ListImageReferrers."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from ecru.rules.mutability import Mutability
from tests.making import a_config, a_descriptor, a_layer, a_manifest, an_index
from tests.wire.aws.caller import Caller, push_image, push_layer
from tests.wire.serving import Server, copy_folder, serving

pytestmark = pytest.mark.anyio

MANIFEST = a_manifest()
DIGEST = digest_of(MANIFEST)
ABSENT = digest_of(b"absent")
APP = {"repositoryName": "app"}


@pytest.fixture
async def pushing(ecr: Caller) -> Caller:
    """ECR, with what ``a_manifest`` needs in ``app``."""
    for content in (a_layer(), a_config()):
        await push_layer(ecr, content)
    return ecr


async def put(ecr: Caller, manifest: bytes = MANIFEST, **members: object) -> dict[str, Any]:
    return await ecr("PutImage", **{**APP, "imageManifest": manifest.decode(), **members})


async def tags_of(ecr: Caller, **members: object) -> dict[str, list[str]]:
    """Tags by digest, as DescribeImages has them."""
    described = await ecr("DescribeImages", **APP, **members)
    return {each["imageDigest"]: each.get("imageTags", []) for each in described["imageDetails"]}


# --- PutImage ---------------------------------------------------------------------------------------------------------


async def test_an_image_is_stored_byte_for_byte(pushing: Caller) -> None:
    answer = await put(pushing, imageTag="v1")
    got = await pushing("BatchGetImage", **APP, imageIds=[{"imageTag": "v1"}])

    expected = {
        "registryId": "000000000000",
        "repositoryName": "app",
        "imageId": {"imageDigest": DIGEST, "imageTag": "v1"},
        "imageManifest": MANIFEST.decode(),
        "imageManifestMediaType": OCI_MANIFEST,
    }
    assert answer == {"image": expected}
    assert got == {"images": [expected], "failures": []}


async def test_an_image_without_a_tag_has_its_digest_only(pushing: Caller) -> None:
    answer = await put(pushing)

    assert answer["image"]["imageId"] == {"imageDigest": DIGEST}
    assert "imageTags" not in (await pushing("DescribeImages", **APP))["imageDetails"][0]


async def test_the_media_type_may_be_a_member_of_the_request(pushing: Caller) -> None:
    bare = json.dumps({name: value for name, value in json.loads(MANIFEST).items() if name != "mediaType"}).encode()
    refusal = await pushing.refusal("PutImage", **APP, imageManifest=bare.decode())
    answer = await put(pushing, bare, imageManifestMediaType=OCI_MANIFEST)

    assert refusal.code == "InvalidParameterException"
    assert refusal.message.startswith("Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")
    assert answer["image"]["imageManifestMediaType"] == OCI_MANIFEST


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"imageManifest": "{"}, "InvalidParameterException"),
        ({"imageManifest": ""}, "InvalidParameterException"),
        ({"imageManifest": "x" * 4_194_305}, "InvalidParameterException"),
        ({"imageManifest": "\u20ac" * 2_000_000}, "InvalidParameterException"),
        ({"imageManifest": "\u20ac" * 4_000_000}, "RequestEntityTooLargeException"),
        ({"imageManifest": '{"schemaVersion": 1}'}, "InvalidParameterException"),
        ({"imageManifest": "\ud800"}, "InvalidParameterException"),
        ({"imageTag": "-x"}, "InvalidParameterException"),
        ({"imageTag": "x" * 129}, "InvalidParameterException"),
        ({"imageTag": ""}, "InvalidParameterException"),
        ({"imageDigest": "nonsense"}, "InvalidParameterException"),
        ({"imageDigest": ABSENT}, "ImageDigestDoesNotMatchException"),
        ({"imageManifest": a_manifest(layers=[b"absent"]).decode()}, "LayersNotFoundException"),
        ({"imageManifest": an_index(a_manifest(layers=[b"absent"])).decode()}, "ReferencedImagesNotFoundException"),
        ({"imageManifest": {}}, "SerializationException"),
    ],
)
async def test_an_image_that_is_refused_leaves_nothing(pushing: Caller, members: dict[str, Any], code: str) -> None:
    given = {**APP, "imageManifest": MANIFEST.decode(), **members}

    assert (await pushing.refusal("PutImage", **given)).code == code
    assert (await pushing("ListImages", **APP))["imageIds"] == []


async def test_what_is_missing_is_listed(pushing: Caller) -> None:
    missing = [digest_of(content) for content in (b"one", b"two")]
    refusal = await pushing.refusal("PutImage", **APP, imageManifest=a_manifest(layers=[b"one", b"two"]).decode())

    assert refusal.message == (
        f"Layers with digests '[{', '.join(missing)}]' required for pushing image into repository with name 'app' "
        "in the registry with id '000000000000' do not exist"
    )


@pytest.mark.parametrize("tag", ["v1", None])
async def test_the_same_push_again_is_an_error_and_harmless(pushing: Caller, tag: str | None) -> None:
    named: dict[str, Any] = {} if tag is None else {"imageTag": tag}
    await put(pushing, **named)
    refusal = await pushing.refusal("PutImage", **APP, imageManifest=MANIFEST.decode(), **named)

    assert refusal.code == "ImageAlreadyExistsException"
    assert f"Image with digest '{DIGEST}' and tag '{tag or 'null'}' already exists" in refusal.message
    assert await tags_of(pushing) == {DIGEST: [tag] if tag else []}


async def test_another_tag_is_added_and_a_tag_moves(pushing: Caller) -> None:
    other = a_manifest(annotations={"a": "b"})
    await put(pushing, imageTag="v1")
    await put(pushing, imageTag="latest")
    await put(pushing, other, imageTag="latest")

    assert await tags_of(pushing) == {DIGEST: ["v1"], digest_of(other): ["latest"]}


async def test_an_image_whose_last_tag_moved_away_stays(pushing: Caller) -> None:
    other = a_manifest(annotations={"a": "b"})
    await put(pushing, imageTag="latest")
    await put(pushing, other, imageTag="latest")

    assert await tags_of(pushing, filter={"tagStatus": "UNTAGGED"}) == {DIGEST: []}


async def test_an_immutable_tag_does_not_move(server: Server, pushing: Caller) -> None:
    await pushing("PutImageTagMutability", **APP, imageTagMutability="IMMUTABLE")
    await put(pushing, imageTag="v1")
    other = a_manifest(annotations={"a": "b"})
    refusal = await pushing.refusal("PutImage", **APP, imageManifest=other.decode(), imageTag="v1")
    again = await pushing.refusal("PutImage", **APP, imageManifest=MANIFEST.decode(), imageTag="v1")

    assert refusal.code == "ImageTagAlreadyExistsException"
    assert refusal.message == (
        "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable."
    )
    assert again.code == "ImageAlreadyExistsException"
    assert await tags_of(pushing) == {DIGEST: ["v1"]}


@pytest.mark.parametrize(
    "mutability, tag, moves",
    [
        (Mutability.MUTABLE_WITH_EXCLUSION, "v1", False),
        (Mutability.MUTABLE_WITH_EXCLUSION, "latest", True),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, "v1", True),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, "latest", False),
    ],
)
async def test_an_exclusion_turns_the_setting_around(pushing: Caller, mutability: str, tag: str, *, moves: bool) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "v*"}]
    setting = {"imageTagMutability": mutability, "imageTagMutabilityExclusionFilters": filters}
    await pushing("PutImageTagMutability", **APP, **setting)
    other = a_manifest(annotations={"a": "b"})
    await put(pushing, imageTag=tag)
    if moves:
        await put(pushing, other, imageTag=tag)
    else:
        refusal = await pushing.refusal("PutImage", **APP, imageManifest=other.decode(), imageTag=tag)
        assert refusal.code == "ImageTagAlreadyExistsException"


async def test_an_image_and_a_repository_hold_as_much_as_their_limits(
    prepared: Path, database: dict[str, Any], tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"maximum_tags_per_image": 2, "maximum_images_per_repository": 1}
    async with serving(copy_folder(prepared, tmp_path / "data"), **database, **limits) as server:
        ecr = Caller(server, "ecr")
        await server.create_repository("app")
        await push_image(ecr, tag="v1")
        await put(ecr, imageTag="v2")
        too_many_tags = await ecr.refusal("PutImage", **APP, imageManifest=MANIFEST.decode(), imageTag="v3")
        other = a_manifest(annotations={"a": "b"}).decode()
        too_many_images = await ecr.refusal("PutImage", **APP, imageManifest=other)

        assert too_many_tags.code == too_many_images.code == "LimitExceededException"
        assert await tags_of(ecr) == {DIGEST: ["v1", "v2"]}


# --- BatchGetImage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image_id, code",
    [
        ({"imageTag": "missing"}, "ImageNotFound"),
        ({"imageDigest": ABSENT}, "ImageNotFound"),
        ({"imageDigest": ABSENT, "imageTag": "v1"}, "ImageNotFound"),
        ({"imageDigest": DIGEST, "imageTag": "missing"}, "ImageNotFound"),
        ({"imageDigest": DIGEST, "imageTag": "other"}, "ImageTagDoesNotMatchDigest"),
        ({}, "MissingDigestAndTag"),
        ({"imageDigest": "nonsense"}, "InvalidImageDigest"),
        ({"imageTag": "-x"}, "InvalidImageTag"),
    ],
)
@pytest.mark.parametrize("operation", ["BatchGetImage", "BatchDeleteImage"])
async def test_a_batch_goes_on_past_what_it_cannot_do(pushing: Caller, operation: str, image_id: dict[str, str], code: str) -> None:
    await put(pushing, imageTag="v1")
    await put(pushing, a_manifest(annotations={"a": "b"}), imageTag="other")
    answer = await pushing(operation, **APP, imageIds=[image_id, {"imageTag": "v1"}])
    (failure,) = answer["failures"]

    assert (failure["failureCode"], failure["imageId"]) == (code, image_id)
    assert failure["failureReason"]
    done = answer["imageIds"] if operation == "BatchDeleteImage" else [each["imageId"] for each in answer["images"]]
    assert done == [{"imageDigest": DIGEST, "imageTag": "v1"}]


async def test_an_image_that_is_not_found_is_said_so_in_ecrs_words(pushing: Caller) -> None:
    answer = await pushing("BatchGetImage", **APP, imageIds=[{"imageTag": "missing"}])

    assert answer["failures"][0]["failureReason"] == "Requested image not found"


@pytest.mark.parametrize(
    "image_id, accepted, found",
    [
        ({"imageTag": "v1"}, [OCI_MANIFEST], True),
        ({"imageTag": "v1"}, [DOCKER_MANIFEST], False),
        ({"imageDigest": DIGEST}, [DOCKER_MANIFEST], True),
        ({"imageDigest": DIGEST, "imageTag": "v1"}, [DOCKER_MANIFEST], True),
    ],
)
async def test_nothing_is_converted(pushing: Caller, image_id: dict[str, str], accepted: list[str], *, found: bool) -> None:
    await put(pushing, imageTag="v1")
    answer = await pushing("BatchGetImage", **APP, imageIds=[image_id], acceptedMediaTypes=accepted)

    assert [each["imageManifest"] for each in answer["images"]] == ([MANIFEST.decode()] if found else [])
    assert [each["failureCode"] for each in answer["failures"]] == ([] if found else ["ImageNotFound"])


async def test_an_answer_holds_so_many_bytes_of_manifests_and_no_more(pushing: Caller) -> None:
    large = [a_manifest(annotations={"padding": str(number) * 4_000_000}) for number in range(9)]
    for manifest in large:
        await put(pushing, manifest)
    wanted = [{"imageDigest": digest_of(manifest)} for manifest in large]
    refusal = await pushing.refusal("BatchGetImage", **APP, imageIds=wanted)

    assert refusal.code == "LimitExceededException"
    assert len((await pushing("BatchGetImage", **APP, imageIds=wanted[:8]))["images"]) == 8


@pytest.mark.parametrize("operation", ["BatchGetImage", "BatchDeleteImage"])
@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"imageIds": []}, "InvalidParameterException"),
        ({"imageIds": [{"imageTag": "v1"}] * 101}, "InvalidParameterException"),
        ({"imageIds": [{"imageTag": "x" * 301}]}, "InvalidParameterException"),
    ],
)
async def test_a_batch_that_makes_no_sense_is_refused(ecr: Caller, operation: str, members: dict[str, Any], code: str) -> None:
    given = {**APP, "imageIds": [{"imageTag": "v1"}], **members}

    assert (await ecr.refusal(operation, **given)).code == code


# --- BatchDeleteImage -------------------------------------------------------------------------------------------------


async def test_the_last_tag_takes_the_image_along(pushing: Caller) -> None:
    await put(pushing, imageTag="v1")
    await put(pushing, imageTag="v2")
    first = await pushing("BatchDeleteImage", **APP, imageIds=[{"imageTag": "v1"}])
    between = await tags_of(pushing)
    last = await pushing("BatchDeleteImage", **APP, imageIds=[{"imageTag": "v2"}])

    assert first["imageIds"] == [{"imageDigest": DIGEST, "imageTag": "v1"}]
    assert between == {DIGEST: ["v2"]}
    assert last["imageIds"] == [{"imageDigest": DIGEST, "imageTag": "v2"}]
    assert await tags_of(pushing) == {}


async def test_a_digest_takes_all_tags_along(pushing: Caller) -> None:
    await put(pushing, imageTag="v1")
    await put(pushing, imageTag="v2")
    answer = await pushing("BatchDeleteImage", **APP, imageIds=[{"imageDigest": DIGEST}])

    assert answer["imageIds"] == [{"imageDigest": DIGEST, "imageTag": "v1"}, {"imageDigest": DIGEST, "imageTag": "v2"}]
    assert await tags_of(pushing) == {}


async def test_an_untagged_image_goes_by_its_digest(pushing: Caller) -> None:
    await put(pushing)

    assert (await pushing("BatchDeleteImage", **APP, imageIds=[{"imageDigest": DIGEST}]))["imageIds"] == [{"imageDigest": DIGEST}]


async def test_a_tag_with_its_digest_removes_that_tag_only(pushing: Caller) -> None:
    await put(pushing, imageTag="v1")
    await put(pushing, imageTag="v2")
    await pushing("BatchDeleteImage", **APP, imageIds=[{"imageDigest": DIGEST, "imageTag": "v1"}])

    assert await tags_of(pushing) == {DIGEST: ["v2"]}


async def test_an_immutable_tag_may_be_deleted_and_made_again(pushing: Caller) -> None:
    await pushing("PutImageTagMutability", **APP, imageTagMutability="IMMUTABLE")
    await put(pushing, imageTag="v1")
    await pushing("BatchDeleteImage", **APP, imageIds=[{"imageTag": "v1"}])
    other = a_manifest(annotations={"a": "b"})
    await put(pushing, other, imageTag="v1")

    assert await tags_of(pushing) == {digest_of(other): ["v1"]}


async def test_a_child_stays_while_an_index_lists_it(pushing: Caller) -> None:
    index = an_index(MANIFEST)
    await put(pushing, imageTag="child")
    await put(pushing, index, imageTag="index")
    for image_id in ({"imageDigest": DIGEST}, {"imageTag": "child"}):
        (failure,) = (await pushing("BatchDeleteImage", **APP, imageIds=[image_id]))["failures"]
        assert failure["failureCode"] == "ImageReferencedByManifestList"
        assert failure["failureReason"] == f"Requested image referenced by manifest list: [{digest_of(index)}]"
    await pushing("BatchDeleteImage", **APP, imageIds=[{"imageTag": "index"}])

    assert await tags_of(pushing) == {DIGEST: ["child"]}
    assert (await pushing("BatchDeleteImage", **APP, imageIds=[{"imageDigest": DIGEST}]))["failures"] == []


@pytest.mark.parametrize("turned", [False, True])
async def test_an_index_and_its_child_go_in_one_request_in_any_order(pushing: Caller, *, turned: bool) -> None:
    index = an_index(MANIFEST)
    await put(pushing)
    await put(pushing, index, imageTag="index")
    wanted = [{"imageDigest": digest_of(index)}, {"imageDigest": DIGEST}]
    answer = await pushing("BatchDeleteImage", **APP, imageIds=wanted[::-1] if turned else wanted)

    assert answer["failures"] == []
    assert await tags_of(pushing) == {}


async def test_the_second_of_two_equal_ids_is_not_found(pushing: Caller) -> None:
    await put(pushing)
    answer = await pushing("BatchDeleteImage", **APP, imageIds=[{"imageDigest": DIGEST}] * 2)

    assert (len(answer["imageIds"]), [each["failureCode"] for each in answer["failures"]]) == (1, ["ImageNotFound"])


# --- DescribeImages ---------------------------------------------------------------------------------------------------


async def test_an_image_is_described(pushing: Caller) -> None:
    before = datetime.now(UTC)
    await put(pushing, imageTag="v1")
    await put(pushing, imageTag="v2")
    (image,) = (await pushing("DescribeImages", **APP))["imageDetails"]

    assert before - timedelta(milliseconds=1) <= image.pop("imagePushedAt") <= datetime.now(UTC)
    assert image == {
        "registryId": "000000000000",
        "repositoryName": "app",
        "imageDigest": DIGEST,
        "imageTags": ["v1", "v2"],
        "imageSizeInBytes": len(a_layer()) + len(a_config()),
        "imageManifestMediaType": OCI_MANIFEST,
        "artifactMediaType": OCI_CONFIG,
        "imageStatus": "ACTIVE",
    }


async def test_an_index_is_as_large_as_its_largest_child(pushing: Caller) -> None:
    big = a_manifest(layers=[b"x" * 100_000])
    await push_layer(pushing, b"x" * 100_000)
    await put(pushing)
    await put(pushing, big)
    await put(pushing, an_index(MANIFEST, big), imageTag="index")
    (index,) = (await pushing("DescribeImages", **APP, imageIds=[{"imageTag": "index"}]))["imageDetails"]

    assert index["imageManifestMediaType"] == OCI_INDEX
    assert index["imageSizeInBytes"] == 100_000 + len(a_config())


async def test_named_images_are_described_all_or_none_each_once(pushing: Caller) -> None:
    await put(pushing, imageTag="v1")
    found = await pushing("DescribeImages", **APP, imageIds=[{"imageTag": "v1"}, {"imageDigest": DIGEST}])
    refusal = await pushing.refusal("DescribeImages", **APP, imageIds=[{"imageTag": "v1"}, {"imageTag": "v2"}])

    assert len(found["imageDetails"]) == 1
    assert refusal.code == "ImageNotFoundException"
    assert refusal.message == (
        "The image with imageId {imageDigest:'null', imageTag:'v2'} does not exist within the repository with name 'app' "
        "in the registry with id '000000000000'"
    )


@pytest.mark.parametrize(
    "chosen, tags",
    [
        ({}, [["v1"], []]),
        ({"tagStatus": "ANY"}, [["v1"], []]),
        ({"tagStatus": "TAGGED"}, [["v1"]]),
        ({"tagStatus": "UNTAGGED"}, [[]]),
        ({"imageStatus": "ACTIVE"}, [["v1"], []]),
        ({"imageStatus": "ANY", "tagStatus": "TAGGED"}, [["v1"]]),
        ({"imageStatus": "ARCHIVED"}, []),
    ],
)
async def test_a_filter_lets_through_what_it_says(pushing: Caller, chosen: dict[str, str], tags: list[list[str]]) -> None:
    await put(pushing, imageTag="v1")
    await put(pushing, a_manifest(annotations={"a": "b"}))

    assert list((await tags_of(pushing, filter=chosen)).values()) == tags
    assert len((await pushing("ListImages", **APP, filter=chosen))["imageIds"]) == len(tags)


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"imageIds": [{"imageTag": "v1"}], "maxResults": 5}, "InvalidParameterException"),
        ({"imageIds": [{"imageTag": "v1"}], "nextToken": "x"}, "InvalidParameterException"),
        ({"imageIds": [{}]}, "InvalidParameterException"),
        ({"imageIds": [{"imageDigest": "nonsense"}]}, "InvalidParameterException"),
        ({"imageIds": [{"imageTag": "-x"}]}, "InvalidParameterException"),
        ({"filter": {"tagStatus": "tagged"}}, "InvalidParameterException"),
        ({"nextToken": "nonsense"}, "InvalidParameterException"),
    ],
)
async def test_a_question_about_images_that_makes_no_sense_is_refused(ecr: Caller, members: dict[str, Any], code: str) -> None:
    assert (await ecr.refusal("DescribeImages", **{**APP, **members})).code == code


async def test_pages_give_every_image_once_also_while_images_come_and_go(pushing: Caller) -> None:
    digests = [await push_image(pushing, tag=f"v{number}", text=str(number)) for number in range(5)]
    first = await pushing("DescribeImages", **APP, maxResults=2)
    await pushing("BatchDeleteImage", **APP, imageIds=[{"imageDigest": digests[1]}])
    new = await push_image(pushing, text="new")
    second = await pushing("DescribeImages", **APP, maxResults=2, nextToken=first["nextToken"])
    third = await pushing("DescribeImages", **APP, maxResults=2, nextToken=second["nextToken"])
    pages = [[each["imageDigest"] for each in page["imageDetails"]] for page in (first, second, third)]

    assert pages == [digests[:2], digests[2:4], [digests[4], new]]
    assert "nextToken" not in third


async def test_a_page_belongs_to_its_filter(pushing: Caller) -> None:
    for number in range(3):
        await push_image(pushing, tag=f"v{number}", text=str(number))
    page = await pushing("DescribeImages", **APP, maxResults=1)
    refusal = await pushing.refusal(
        "DescribeImages", **APP, maxResults=1, nextToken=page["nextToken"], filter={"tagStatus": "TAGGED"}
    )

    assert refusal.code == "InvalidParameterException"


async def test_a_pull_is_recorded(server: Server, pushing: Caller) -> None:
    await put(pushing, imageTag="v1")
    before = await pushing("DescribeImages", **APP)
    await pushing("BatchGetImage", **APP, imageIds=[{"imageTag": "v1"}])
    async with asyncio.timeout(20):  # pull times are written in batches, every few seconds
        while "lastRecordedPullTime" not in (image := (await pushing("DescribeImages", **APP))["imageDetails"][0]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    assert "lastRecordedPullTime" not in before["imageDetails"][0]
    assert image["lastRecordedPullTime"] >= image["imagePushedAt"]


# --- ListImages -------------------------------------------------------------------------------------------------------


async def test_a_list_has_a_pair_for_each_tag_and_one_for_an_image_without(pushing: Caller) -> None:
    untagged = a_manifest(annotations={"a": "b"})
    await put(pushing, imageTag="v1")
    await put(pushing, imageTag="v2")
    await put(pushing, untagged)
    listed = (await pushing("ListImages", **APP))["imageIds"]
    paged: list[dict[str, str]] = []
    token: dict[str, str] = {}
    for _ in range(3):
        page = await pushing("ListImages", **APP, maxResults=1, **token)
        paged += page["imageIds"]
        token = {"nextToken": page.get("nextToken", "")}

    assert listed == [
        {"imageDigest": DIGEST, "imageTag": "v1"},
        {"imageDigest": DIGEST, "imageTag": "v2"},
        {"imageDigest": digest_of(untagged)},
    ]
    assert paged == listed
    assert token == {"nextToken": ""}


async def test_what_an_untagged_list_gives_can_be_deleted(pushing: Caller) -> None:
    await put(pushing)
    listed = await pushing("ListImages", **APP, filter={"tagStatus": "UNTAGGED"})
    await pushing("BatchDeleteImage", **APP, imageIds=listed["imageIds"])

    assert (await pushing("ListImages", **APP))["imageIds"] == []


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"maxResults": 1001}, "InvalidParameterException"),
        ({"nextToken": "nonsense"}, "InvalidParameterException"),
        ({"registryId": "111111111111"}, "AccessDeniedException"),
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(ecr: Caller, members: dict[str, Any], code: str) -> None:
    assert (await ecr.refusal("ListImages", **{**APP, **members})).code == code


# --- ListImageReferrers -----------------------------------------------------------------------------------------------


async def test_referrers_are_listed_in_pages_and_by_type(pushing: Caller) -> None:
    subject = a_descriptor(MANIFEST, media_type=OCI_MANIFEST)
    kinds = ["application/a", "application/b", "application/a"]
    manifests = [
        a_manifest(subject=subject, artifactType=kind, annotations={"number": str(number)}) for number, kind in enumerate(kinds)
    ]
    for manifest in manifests:
        await put(pushing, manifest)
    where = {**APP, "subjectId": {"imageDigest": DIGEST}}
    listed = await pushing("ListImageReferrers", **where)
    chosen = await pushing("ListImageReferrers", **where, filter={"artifactTypes": ["application/a"]})
    first = await pushing("ListImageReferrers", **where, maxResults=2)
    rest = await pushing("ListImageReferrers", **where, maxResults=2, nextToken=first["nextToken"])

    assert listed["referrers"][0] == {
        "digest": digest_of(manifests[0]),
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/a",
        "size": len(manifests[0]),
        "annotations": {"number": "0"},
        "artifactStatus": "ACTIVE",
    }
    assert [each["digest"] for each in chosen["referrers"]] == [digest_of(manifests[0]), digest_of(manifests[2])]
    assert first["referrers"] + rest["referrers"] == listed["referrers"]
    assert "nextToken" not in rest


async def test_a_referrer_names_its_subject_which_need_not_be_there(pushing: Caller) -> None:
    manifest = a_manifest(subject=replace(a_descriptor(b"absent"), media_type=OCI_MANIFEST))
    await put(pushing, manifest)
    listed = await pushing("ListImageReferrers", **APP, subjectId={"imageDigest": ABSENT})
    (image,) = (await pushing("DescribeImages", **APP))["imageDetails"]

    assert [each["digest"] for each in listed["referrers"]] == [digest_of(manifest)]
    assert image["subjectManifestDigest"] == ABSENT
    assert (await pushing("ListImageReferrers", **APP, subjectId={"imageDigest": DIGEST}))["referrers"] == []


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"subjectId": {}}, "InvalidParameterException"),
        ({"subjectId": {"imageDigest": "nonsense"}}, "InvalidParameterException"),
        ({"maxResults": 51}, "InvalidParameterException"),
        ({"nextToken": "nonsense"}, "InvalidParameterException"),
    ],
)
async def test_a_question_about_referrers_that_makes_no_sense_is_refused(ecr: Caller, members: dict[str, Any], code: str) -> None:
    given = {**APP, "subjectId": {"imageDigest": DIGEST}, **members}

    assert (await ecr.refusal("ListImageReferrers", **given)).code == code
