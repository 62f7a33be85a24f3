"""The same few things on every kind of database, blob store and transport that a deployment can have."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from tests.clients.certificates import issue_certificate
from tests.clients.conformance import run_legacy_suite
from tests.clients.images import an_artifact, an_image, an_image_for, noise, read_layout, with_layers, write_layout
from tests.clients.registry import Command, Home, Registry, running_registry
from tests.servers import Bucket, PostgresqlServer

STORAGE = ["sqlite+folder", "postgresql+folder", "postgresql+s3"]
TRANSPORT = ["plain", "tls"]
KINDS = [*(f"{storage}+{transport}" for storage in STORAGE for transport in TRANSPORT), "sqlite+s3-proxied+plain"]


@pytest.fixture(scope="module", params=KINDS)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry of each kind."""
    database, blobs, transport = request.param.split("+")
    name = request.param.replace("+", "-")
    folder = tmp_path_factory.mktemp(name)
    arguments, environment, authority = list[object](), dict[str, str](), None
    if database == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        server.execute(f'CREATE DATABASE "{name}"')
        arguments += ["--database", server.url(name)]
    if blobs == "s3-proxied":
        arguments += ["--blob-delivery", "proxy"]
    if blobs != "folder":
        bucket: Bucket = replace(request.getfixturevalue("s3_server"), name=name)
        bucket.client().create_bucket(Bucket=name)
        arguments += ["--blobs", bucket.url()]
        environment |= bucket.environment()
    if transport == "tls":
        authority, certificate, key = issue_certificate(folder)
        arguments += ["--tls-certificate", certificate, "--tls-key", key]
    with running_registry(folder, *arguments, environment=environment, certificate_authority=authority) as running:
        yield running


@pytest.fixture(scope="module")
def aws(home: Home) -> Command:
    """The AWS CLI."""
    return home.command("aws", "ecr", "--output", "json")


@pytest.fixture(scope="module")
def skopeo(registry: Registry, home: Home, aws: Command) -> Command:
    """Skopeo, logged in with what the AWS CLI prints."""
    program = home.command("skopeo")
    program("login", "--username", "AWS", "--password-stdin", registry.host, stdin=aws("get-login-password"))
    return program


def test_an_image_is_pushed_seen_pulled_and_deleted(registry: Registry, aws: Command, skopeo: Command, tmp_path: Path) -> None:
    image = an_image_for("amd64", "arm64")
    write_layout(tmp_path / "pushed", image)
    created = aws.json("create-repository", "--repository-name", "core/app")["repository"]
    name = f"docker://{created['repositoryUri']}"

    skopeo("copy", "--all", f"oci:{tmp_path}/pushed:latest", f"{name}:1")
    described = aws.json("describe-images", "--repository-name", "core/app", "--image-ids", "imageTag=1")["imageDetails"]
    skopeo("copy", "--all", f"{name}:1", f"oci:{tmp_path}/pulled:latest")
    deleted = aws.json("batch-delete-image", "--repository-name", "core/app", "--image-ids", "imageTag=1")

    assert created["repositoryUri"] == f"{registry.host}/core/app"
    assert [each["imageDigest"] for each in described] == [image.digest]
    assert read_layout(tmp_path / "pulled") == image
    assert deleted == {"imageIds": [{"imageDigest": image.digest, "imageTag": "1"}], "failures": []}
    assert "Requested image not found" in skopeo.fails("inspect", f"{name}:1")


def test_a_layer_of_many_megabytes_comes_back(registry: Registry, skopeo: Command, repository: str, tmp_path: Path) -> None:
    image = an_image(noise("one", 12_000_000), noise("two", 1_000_000))
    write_layout(tmp_path / "pushed", image)

    skopeo("copy", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{repository}:1")
    skopeo("copy", f"docker://{registry.host}/{repository}:1", f"oci:{tmp_path}/pulled")

    assert read_layout(tmp_path / "pulled") == image
    assert registry.describe(repository, "1")["imageSizeInBytes"] > 13_000_000


def test_a_layer_in_chunks_is_put_together(registry: Registry, home: Home, repository: str) -> None:
    crane, image = home.command("crane"), an_image(noise("chunks", 1_000_000))
    crane("auth", "login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    content = max(image.blobs, key=len)
    with registry.http() as http:
        location = http.post(f"/v2/{repository}/blobs/uploads/").headers["location"]
        for first in range(0, len(content), 300_000):
            chunk = content[first : first + 300_000]
            answer = http.patch(location, content=chunk, headers={"Content-Range": f"{first}-{first + len(chunk) - 1}"})
            assert answer.status_code == 202, answer.text
        assert http.put(location, params={"digest": image.layers[0]}).status_code == 201

    registry.push(repository, image, "1")

    assert "PASS" in crane("validate", "--remote", f"{registry.host}/{repository}:1")


def test_a_blob_comes_from_the_bucket_or_from_the_registry(
    registry: Registry, repository: str, request: pytest.FixtureRequest
) -> None:
    image = an_image("delivered")
    registry.push(repository, image, "1")
    layer = max(image.blobs, key=len)
    path = f"/v2/{repository}/blobs/{digest_of(layer)}"

    with registry.http() as http:
        first = http.get(path)
        # A client sends no credentials to where it is sent.
        url, headers = (first.headers["location"], {"Authorization": ""}) if first.is_redirect else (path, {})
        whole = http.get(url, headers=headers)
        ranged = http.get(url, headers=headers | {"Range": "bytes=5-9"})

    assert first.status_code == (307 if "+s3+" in request.node.callspec.params["registry"] else 200)
    assert first.headers["docker-content-digest"] == digest_of(layer)
    assert (whole.status_code, whole.content) == (200, layer)
    assert (ranged.status_code, ranged.content) == (206, layer[5:10])
    assert ranged.headers["content-range"] == f"bytes 5-9/{len(layer)}"


def test_a_layer_through_the_api_is_pulled_through_its_url(registry: Registry, repository: str) -> None:
    image = with_layers([noise("api", 6_000_000)])
    layer = max(image.blobs, key=len)
    upload = registry.ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    for first, part in ((0, layer[:5_242_880]), (5_242_880, layer[5_242_880:])):
        registry.ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
    registry.ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=image.layers)
    registry.push(repository, image, "1")

    url = registry.ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=image.layers[0])["downloadUrl"]

    # Without credentials: all that is needed is in the URL.
    with registry.http(headers={"Authorization": ""}) as http:
        assert http.get(url).content == layer
        ranged = http.get(url, headers={"Range": "bytes=5242870-5242889"})
    assert (ranged.status_code, ranged.content) == (206, layer[5_242_870:5_242_890])


def test_what_refers_to_an_image_is_listed_through_both_doors(registry: Registry, repository: str) -> None:
    image = with_layers([b"subject"])
    artifact = an_artifact("of it", subject=image)
    registry.push(repository, image, "1")
    registry.push(repository, artifact)

    with registry.http() as http:
        referrers = json.loads(http.get(f"/v2/{repository}/referrers/{image.digest}").content)
    through_api = registry.ecr.list_image_referrers(repositoryName=repository, subjectId={"imageDigest": image.digest})

    assert [each["digest"] for each in referrers["manifests"]] == [artifact.digest]
    assert [each["digest"] for each in through_api["referrers"]] == [artifact.digest]


def test_the_legacy_suite_passes(registry: Registry, tmp_path: Path) -> None:
    repositories = registry.create_repository(), registry.create_repository()
    registry.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")

    report = run_legacy_suite(registry, tmp_path, *repositories)

    assert report.failed == {}
    assert len(report.passed) >= 70
