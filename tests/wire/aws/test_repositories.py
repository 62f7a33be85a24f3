"""CreateRepository, DescribeRepositories, DeleteRepository and PutImageTagMutability."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.wire.aws.caller import Caller, push_image
from tests.wire.serving import HOST, copy_folder, serving

pytestmark = pytest.mark.anyio

ARN = "arn:aws:ecr:us-east-1:000000000000:repository/"


async def test_a_repository_is_made_with_ecrs_defaults(ecr: Caller) -> None:
    before = datetime.now(UTC)
    answer = await ecr("CreateRepository", repositoryName="team/web-app")
    repository = answer["repository"]

    assert before - timedelta(milliseconds=1) <= repository.pop("createdAt") <= datetime.now(UTC)
    assert repository == {
        "repositoryArn": ARN + "team/web-app",
        "registryId": "000000000000",
        "repositoryName": "team/web-app",
        "repositoryUri": f"{HOST}/team/web-app",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }


async def test_a_time_is_a_number_on_the_wire(ecr: Caller) -> None:
    """Clients in Go, Terraform among them, read nothing else."""
    answer = await ecr.send(ecr.request("DescribeRepositories"))

    assert isinstance(answer.json()["repositories"][0]["createdAt"], float)


async def test_a_repository_of_a_domain_is_named_by_account_and_region(prepared: Path, tmp_path: Path) -> None:
    async with serving(copy_folder(prepared, tmp_path / "data"), domain="registry.example:5050") as server:
        answer = await Caller(server, "ecr")("CreateRepository", repositoryName="app")

    assert answer["repository"]["repositoryUri"] == "000000000000.dkr.ecr.us-east-1.registry.example:5050/app"


async def test_a_registry_holds_as_many_repositories_as_its_limit(prepared: Path, database: dict[str, Any], tmp_path: Path) -> None:
    async with serving(copy_folder(prepared, tmp_path / "data"), **database, maximum_repositories=1) as server:
        ecr = Caller(server, "ecr")
        await ecr("CreateRepository", repositoryName="app")
        refusal = await ecr.refusal("CreateRepository", repositoryName="one-more")

    assert refusal.code == "LimitExceededException"


async def test_a_name_is_taken_once_whatever_the_settings(ecr: Caller) -> None:
    refusal = await ecr.refusal("CreateRepository", repositoryName="app")

    assert refusal.code == "RepositoryAlreadyExistsException"
    assert refusal.status == 400
    assert refusal.message == "The repository with name 'app' already exists in the registry with id '000000000000'"


async def test_a_name_and_a_name_below_it_live_side_by_side(ecr: Caller) -> None:
    await ecr("CreateRepository", repositoryName="app/part")

    assert len((await ecr("DescribeRepositories"))["repositories"]) == 2


@pytest.mark.parametrize("name", ["a", "A/b", "a//b", "a/", "/a", "a..b", "a___b", "x" * 257, "a\n", ""])
async def test_a_name_against_the_grammar_is_refused(ecr: Caller, name: str) -> None:
    assert (await ecr.refusal("CreateRepository", repositoryName=name)).code == "InvalidParameterException"


@pytest.mark.parametrize("name", ["a1", "0a", "a--b", "a__b", "a.b/c_d/e", "x" * 256])
async def test_a_name_within_the_grammar_is_taken(ecr: Caller, name: str) -> None:
    assert (await ecr("CreateRepository", repositoryName=name))["repository"]["repositoryName"] == name


@pytest.mark.parametrize(
    "members, code",
    [
        ({"encryptionConfiguration": {"encryptionType": "KMS"}}, "UnsupportedOperationException"),
        ({"encryptionConfiguration": {"encryptionType": "AES256", "kmsKey": "alias/mine"}}, "InvalidParameterException"),
        ({"encryptionConfiguration": {}}, "InvalidParameterException"),
        ({"imageScanningConfiguration": {"scanOnPush": True}}, "UnsupportedOperationException"),
        ({"imageTagMutability": "SOFT"}, "InvalidParameterException"),
        ({"imageTagMutability": "MUTABLE_WITH_EXCLUSION"}, "InvalidParameterException"),
        ({"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}]}, "InvalidParameterException"),
        ({"tags": [{"Key": "aws:mine", "Value": "x"}]}, "InvalidTagParameterException"),
        ({"tags": [{"Key": "k", "Value": "x"}, {"Key": "k", "Value": "y"}]}, "InvalidTagParameterException"),
        ({"tags": [{"Key": f"k{number}", "Value": "x"} for number in range(51)]}, "TooManyTagsException"),
        ({"tags": [{"Key": "k"}]}, "InvalidParameterException"),
        ({"registryId": "12"}, "InvalidParameterException"),
        ({"registryId": "111111111111"}, "AccessDeniedException"),
        ({"repositoryName": 7}, "SerializationException"),
    ],
)
async def test_what_is_refused_leaves_no_repository(ecr: Caller, members: dict[str, Any], code: str) -> None:
    refusal = await ecr.refusal("CreateRepository", **{"repositoryName": "new", **members})

    assert refusal.code == code
    assert [each["repositoryName"] for each in (await ecr("DescribeRepositories"))["repositories"]] == ["app"]


async def test_settings_and_tags_given_at_creation_are_kept(ecr: Caller) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "latest*"}]
    await ecr(
        "CreateRepository",
        repositoryName="new",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
        tags=[{"Key": "team", "Value": ""}],
        imageScanningConfiguration={"scanOnPush": False},
        encryptionConfiguration={"encryptionType": "AES256"},
    )
    (repository,) = (await ecr("DescribeRepositories", repositoryNames=["new"]))["repositories"]

    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert repository["imageTagMutabilityExclusionFilters"] == filters
    assert (await ecr("ListTagsForResource", resourceArn=ARN + "new"))["tags"] == [{"Key": "team", "Value": ""}]


async def test_named_repositories_are_described_all_or_none(ecr: Caller) -> None:
    await ecr("CreateRepository", repositoryName="other")
    found = await ecr("DescribeRepositories", repositoryNames=["other", "app", "other"])
    refusal = await ecr.refusal("DescribeRepositories", repositoryNames=["app", "missing"])

    assert sorted(each["repositoryName"] for each in found["repositories"]) == ["app", "other"]
    assert refusal.code == "RepositoryNotFoundException"
    assert refusal.message == "The repository with name 'missing' does not exist in the registry with id '000000000000'"


async def test_pages_give_every_repository_once(ecr: Caller) -> None:
    for number in range(5):
        await ecr("CreateRepository", repositoryName=f"r{number}")
    names: list[str] = []
    token: dict[str, Any] = {}
    while True:
        page = await ecr("DescribeRepositories", maxResults=2, **token)
        assert len(page["repositories"]) == 2
        names += [each["repositoryName"] for each in page["repositories"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}

    assert names == ["app", "r0", "r1", "r2", "r3", "r4"]


@pytest.mark.parametrize(
    "members",
    [
        {"repositoryNames": ["app"], "maxResults": 10},
        {"repositoryNames": ["app"], "nextToken": "x"},
        {"repositoryNames": []},
        {"repositoryNames": ["app"] * 101},
        {"maxResults": 0},
        {"maxResults": 1001},
        {"nextToken": "nonsense"},
        {"nextToken": ""},
        {"nextToken": "W10="},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(ecr: Caller, members: dict[str, Any]) -> None:
    assert (await ecr.refusal("DescribeRepositories", **members)).code == "InvalidParameterException"


async def test_a_token_of_another_list_is_refused(ecr: Caller) -> None:
    for tag in ("a", "b"):
        await push_image(ecr, tag=tag, text=tag)
    page = await ecr("ListImages", repositoryName="app", maxResults=1)
    refusal = await ecr.refusal("DescribeRepositories", nextToken=page["nextToken"])

    assert refusal.code == "InvalidParameterException"


async def test_an_empty_repository_is_deleted_once(ecr: Caller) -> None:
    deleted = await ecr("DeleteRepository", repositoryName="app")
    refusal = await ecr.refusal("DeleteRepository", repositoryName="app")

    assert deleted["repository"]["repositoryArn"] == ARN + "app"
    assert refusal.code == "RepositoryNotFoundException"
    assert (await ecr("DescribeRepositories"))["repositories"] == []


async def test_a_repository_with_images_is_deleted_by_force_only(ecr: Caller) -> None:
    digest = await push_image(ecr, tag="v1")
    refusal = await ecr.refusal("DeleteRepository", repositoryName="app")
    await ecr("DeleteRepository", repositoryName="app", force=True)

    assert refusal.code == "RepositoryNotEmptyException"
    assert "cannot be deleted because it still contains images" in refusal.message
    gone = await ecr.refusal("BatchGetImage", repositoryName="app", imageIds=[{"imageDigest": digest}])
    assert gone.code == "RepositoryNotFoundException"


async def test_a_repository_made_again_starts_clean(ecr: Caller) -> None:
    await push_image(ecr, tag="v1")
    await ecr("TagResource", resourceArn=ARN + "app", tags=[{"Key": "team", "Value": "web"}])
    upload = await ecr("InitiateLayerUpload", repositoryName="app")
    await ecr("DeleteRepository", repositoryName="app", force=True)
    await ecr("CreateRepository", repositoryName="app")

    assert (await ecr("ListImages", repositoryName="app"))["imageIds"] == []
    assert (await ecr("ListTagsForResource", resourceArn=ARN + "app"))["tags"] == []
    part = {"uploadId": upload["uploadId"], "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": b"x"}
    assert (await ecr.refusal("UploadLayerPart", repositoryName="app", **part)).code == "UploadNotFoundException"
    assert await push_image(ecr, tag="v1")


async def test_mutability_replaces_setting_and_filters(ecr: Caller) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "v*"}]
    await ecr(
        "PutImageTagMutability",
        repositoryName="app",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    answer = await ecr("PutImageTagMutability", repositoryName="app", imageTagMutability="IMMUTABLE")
    (repository,) = (await ecr("DescribeRepositories", repositoryNames=["app"]))["repositories"]

    assert answer == {"registryId": "000000000000", "repositoryName": "app", "imageTagMutability": "IMMUTABLE"}
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert "imageTagMutabilityExclusionFilters" not in repository


@pytest.mark.parametrize(
    "members, code",
    [
        ({"repositoryName": "missing"}, "RepositoryNotFoundException"),
        ({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}, "InvalidParameterException"),
        ({"imageTagMutability": None}, "InvalidParameterException"),
        (
            {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}]},
            "InvalidParameterException",
        ),
    ],
)
async def test_a_mutability_that_does_not_fit_is_refused(ecr: Caller, members: dict[str, Any], code: str) -> None:
    given = {"repositoryName": "app", "imageTagMutability": "IMMUTABLE", **members}

    assert (await ecr.refusal("PutImageTagMutability", **given)).code == code
