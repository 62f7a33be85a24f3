"""The AWS CLI, newest of version 1 and Debian's version 2, the ways that AWS's documentation shows.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/getting-started-cli.html
"""

import json
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import OCI_MANIFEST
from tests.clients.images import an_artifact, an_image, an_image_for, noise, read_layout, with_layers, write_layout
from tests.clients.registry import Command, Home, Registry

# Version 2 as Debian has it is older than AWS_ENDPOINT_URL, and would call the real AWS.
NEW, OLD = "aws", "aws-v2"


@pytest.fixture(scope="module", params=[NEW, OLD], ids=["v1", "v2"])
def aws(request: pytest.FixtureRequest, registry: Registry, home: Home) -> Command:
    """Each CLI."""
    return home.command(request.param, *([] if request.param == NEW else ["--endpoint-url", registry.url]), "--output", "json")


@pytest.fixture(scope="module")
def new_aws(home: Home) -> Command:
    """The CLI that knows what came lately."""
    return home.command(NEW, "--output", "json")


@pytest.fixture(scope="module")
def skopeo(home: Home) -> Command:
    """Skopeo, not logged in."""
    return home.command("skopeo")


def test_the_caller_is_the_root_of_the_account(aws: Command) -> None:
    assert aws.json("sts", "get-caller-identity") == {
        "UserId": "000000000000",
        "Account": "000000000000",
        "Arn": "arn:aws:iam::000000000000:root",
    }


def test_a_password_logs_a_client_in(registry: Registry, aws: Command, skopeo: Command, tmp_path: Path) -> None:
    password = aws("ecr", "get-login-password")

    printed = skopeo(
        *("login", "--authfile", tmp_path / "auth.json", "--username", "AWS", "--password-stdin", registry.host), stdin=password
    )

    assert "Login Succeeded" in printed
    assert len(password) < 1000


def test_the_old_way_to_log_in_prints_the_whole_command(registry: Registry, new_aws: Command) -> None:
    printed = new_aws("ecr", "get-login", "--no-include-email").split()

    assert printed[:5] == ["docker", "login", "-u", "AWS", "-p"]
    assert printed[6] == registry.url


def test_a_repository_is_created_described_changed_and_deleted(
    registry: Registry, aws: Command, request: pytest.FixtureRequest
) -> None:
    name = f"cli/{request.node.callspec.id}/app"

    created = aws.json(
        *("ecr", "create-repository", "--repository-name", name, "--tags", "Key=team,Value=core"),
        *("--image-tag-mutability", "IMMUTABLE", "--image-scanning-configuration", "scanOnPush=false"),
    )["repository"]
    described = aws.json("ecr", "describe-repositories", "--repository-names", name)["repositories"]
    arn = created["repositoryArn"]
    aws("ecr", "tag-resource", "--resource-arn", arn, "--tags", "Key=stage,Value=test")
    aws("ecr", "untag-resource", "--resource-arn", arn, "--tag-keys", "team")
    tags = aws.json("ecr", "list-tags-for-resource", "--resource-arn", arn)["tags"]
    changed = aws.json("ecr", "put-image-tag-mutability", "--repository-name", name, "--image-tag-mutability", "MUTABLE")
    deleted = aws.json("ecr", "delete-repository", "--repository-name", name)["repository"]

    assert arn == f"arn:aws:ecr:us-east-1:000000000000:repository/{name}"
    assert created["repositoryUri"] == f"{registry.host}/{name}"
    assert [each["repositoryName"] for each in described] == [name]
    assert described[0]["imageTagMutability"] == "IMMUTABLE"
    assert tags == [{"Key": "stage", "Value": "test"}]
    assert changed["imageTagMutability"] == "MUTABLE"
    assert deleted["repositoryName"] == name
    assert aws.fails("ecr", "describe-repositories", "--repository-names", name).strip() == (
        "An error occurred (RepositoryNotFoundException) when calling the DescribeRepositories operation: "
        f"The repository with name '{name}' does not exist in the registry with id '000000000000'"
    )


def test_images_are_listed_described_and_filtered(registry: Registry, aws: Command, repository: str) -> None:
    image, untagged = an_image_for("amd64", "arm64"), an_image("untagged")
    registry.push(repository, image, "1", "latest")
    registry.push(repository, untagged)

    listed = aws.json("ecr", "list-images", "--repository-name", repository, "--filter", "tagStatus=TAGGED")["imageIds"]
    queried = aws(
        *("ecr", "describe-images", "--repository-name", repository, "--output", "text"),
        *("--query", "sort_by(imageDetails[?imageTags], &imagePushedAt)[-1].imageTags[0]"),
    )
    paged = aws.json("ecr", "list-images", "--repository-name", repository, "--page-size", 1, "--max-items", 3)

    tagged = [{"imageDigest": image.digest, "imageTag": tag} for tag in ("1", "latest")]
    assert sorted(listed, key=lambda each: str(each["imageTag"])) == tagged
    assert queried.strip() == "1"
    assert len(paged["imageIds"]) == 3
    assert paged["NextToken"]


def test_an_image_gets_a_second_tag_as_the_guide_says(registry: Registry, aws: Command, repository: str) -> None:
    """No layer is moved.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-retag.html
    """
    image = an_image("retagged")
    registry.push(repository, image, "latest")

    manifest = aws(
        *("ecr", "batch-get-image", "--repository-name", repository, "--image-ids", "imageTag=latest"),
        *("--output", "text", "--query", "images[].imageManifest"),
    )
    put = aws.json(
        *("ecr", "put-image", "--repository-name", repository, "--image-tag", "2017.12"),
        # As $(…) takes it from what was printed.
        *("--image-manifest", manifest.removesuffix("\n")),
    )["image"]

    assert put["imageId"] == {"imageDigest": image.digest, "imageTag": "2017.12"}
    assert put["imageManifest"].encode() == image.content
    assert registry.tags(repository) == {"latest": image.digest, "2017.12": image.digest}


def test_an_image_is_copied_by_its_manifest_with_its_media_type(
    registry: Registry, aws: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image("by its manifest")
    registry.push(repository, image)
    (tmp_path / "manifest.json").write_bytes(image.content)

    aws(
        *("ecr", "put-image", "--repository-name", repository, "--image-tag", "1", "--image-digest", image.digest),
        *("--image-manifest-media-type", OCI_MANIFEST, "--image-manifest", f"file://{tmp_path}/manifest.json"),
    )

    assert registry.tags(repository) == {"1": image.digest}


def test_images_are_deleted_and_what_is_not_there_is_told(registry: Registry, aws: Command, repository: str) -> None:
    first, second = an_image("first"), an_image("second")
    registry.push(repository, first, "1", "one")
    registry.push(repository, second, "2")

    by_tag = aws.json("ecr", "batch-delete-image", "--repository-name", repository, "--image-ids", "imageTag=1", "imageTag=none")
    by_digest = aws.json(
        "ecr", "batch-delete-image", "--repository-name", repository, "--image-ids", f"imageDigest={second.digest}"
    )

    assert by_tag["imageIds"] == [{"imageDigest": first.digest, "imageTag": "1"}]
    assert [(each["imageId"], each["failureCode"]) for each in by_tag["failures"]] == [({"imageTag": "none"}, "ImageNotFound")]
    assert by_digest["imageIds"] == [{"imageDigest": second.digest, "imageTag": "2"}]
    assert registry.tags(repository) == {"one": first.digest}


def test_an_image_is_uploaded_without_any_other_client(
    registry: Registry, aws: Command, skopeo: Command, repository: str, tmp_path: Path
) -> None:
    image = with_layers([noise(f"cli {repository}", 6_000_000)])
    for blob in image.blobs:
        upload = aws.json("ecr", "initiate-layer-upload", "--repository-name", repository)["uploadId"]
        for first in range(0, len(blob), 5_242_880):
            part = blob[first : first + 5_242_880]
            (tmp_path / "part").write_bytes(part)
            aws(
                *("ecr", "upload-layer-part", "--repository-name", repository, "--upload-id", upload),
                *("--part-first-byte", first, "--part-last-byte", first + len(part) - 1),
                *("--layer-part-blob", f"fileb://{tmp_path}/part"),
            )
        completed = aws.json(
            *("ecr", "complete-layer-upload", "--repository-name", repository, "--upload-id", upload),
            *("--layer-digests", digest_of(blob)),
        )
        assert completed["layerDigest"] == digest_of(blob)
    available = aws.json("ecr", "batch-check-layer-availability", "--repository-name", repository, "--layer-digests", *image.layers)
    aws("ecr", "put-image", "--repository-name", repository, "--image-tag", "1", "--image-manifest", image.content.decode())
    skopeo("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    skopeo("copy", f"docker://{registry.host}/{repository}:1", f"dir:{tmp_path}/pulled")

    assert [(each["layerAvailability"], each["layerSize"]) for each in available["layers"]] == [("AVAILABLE", 6_000_000)]
    assert (tmp_path / "pulled" / "manifest.json").read_bytes() == image.content
    assert digest_of((tmp_path / "pulled" / image.layers[0].removeprefix("sha256:")).read_bytes()) == image.layers[0]


def test_what_other_clients_push_is_read_through_the_cli(
    registry: Registry, aws: Command, skopeo: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image("pushed by skopeo")
    write_layout(tmp_path / "pushed", image)
    skopeo("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    skopeo("copy", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{repository}:1")

    got = aws.json("ecr", "batch-get-image", "--repository-name", repository, "--image-ids", f"imageDigest={image.digest}")
    url = aws.json("ecr", "get-download-url-for-layer", "--repository-name", repository, "--layer-digest", image.layers[0])

    assert got["images"][0]["imageManifest"].encode() == image.content
    assert url["layerDigest"] == image.layers[0]
    assert url["downloadUrl"].startswith(registry.url)
    assert read_layout(tmp_path / "pushed") == image


def test_a_repository_with_images_is_deleted_by_force(registry: Registry, aws: Command, repository: str) -> None:
    registry.push(repository, an_image_for("amd64", "arm64"), "1")

    refused = aws.fails("ecr", "delete-repository", "--repository-name", repository)
    aws("ecr", "delete-repository", "--repository-name", repository, "--force")

    assert "(RepositoryNotEmptyException)" in refused
    assert "(RepositoryNotFoundException)" in aws.fails("ecr", "list-images", "--repository-name", repository)


def test_wrong_keys_are_refused(registry: Registry, aws: Command, home: Home, tmp_path: Path) -> None:
    wrong = Home(tmp_path, registry, {"AWS_SECRET_ACCESS_KEY": "wrong"})

    refused = Command(wrong, aws.command).fails("ecr", "describe-repositories")

    assert "(InvalidSignatureException)" in refused


def test_settings_of_the_account_are_read_and_put(registry: Registry, new_aws: Command) -> None:
    name = ("--name", "BLOB_MOUNTING")

    before = new_aws.json("ecr", "get-account-setting", *name)
    put = new_aws.json("ecr", "put-account-setting", *name, "--value", "ENABLED")
    new_aws("ecr", "put-account-setting", *name, "--value", "DISABLED")
    described = new_aws.json("ecr", "describe-registry")

    assert before == {"name": "BLOB_MOUNTING", "value": "DISABLED"}
    assert put == {"name": "BLOB_MOUNTING", "value": "ENABLED"}
    assert described == {"registryId": "000000000000", "replicationConfiguration": {"rules": []}}


def test_tags_may_be_mutable_by_exception(registry: Registry, new_aws: Command, repository: str) -> None:
    changed = new_aws.json(
        *("ecr", "put-image-tag-mutability", "--repository-name", repository),
        *("--image-tag-mutability", "IMMUTABLE_WITH_EXCLUSION"),
        *("--image-tag-mutability-exclusion-filters", "filterType=WILDCARD,filter=dev-*"),
    )
    first, second = an_image("first"), an_image("second")
    registry.push(repository, first, "dev-1", "release")
    registry.push(repository, second, "dev-1")

    refused = new_aws.fails(
        *("ecr", "put-image", "--repository-name", repository, "--image-tag", "release"),
        *("--image-manifest", second.content.decode()),
    )

    assert changed["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert "(ImageTagAlreadyExistsException)" in refused
    assert registry.tags(repository) == {"dev-1": second.digest, "release": first.digest}


def test_referrers_of_an_image_are_listed(registry: Registry, new_aws: Command, repository: str) -> None:
    image = an_image("subject")
    artifact = an_artifact("of it", subject=image)
    registry.push(repository, image, "1")
    registry.push(repository, artifact)

    listed = new_aws.json(
        "ecr", "list-image-referrers", "--repository-name", repository, "--subject-id", json.dumps({"imageDigest": image.digest})
    )

    assert [each["digest"] for each in listed["referrers"]] == [artifact.digest]


def test_what_is_not_built_yet_is_said_to_be(new_aws: Command) -> None:
    refused = new_aws.fails("ecr", "describe-pull-through-cache-rules")

    assert "(UnsupportedOperationException)" in refused
