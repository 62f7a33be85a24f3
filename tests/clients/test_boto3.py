"""boto3: layers and images through the API alone, and beside the other clients."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from ecru.oci.digest import digest_of
from ecru.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.clients.images import Made, an_image, an_image_for, noise, read_layout, with_layers, write_layout
from tests.clients.registry import Api, Command, Home, Registry

PART = 5 * 1024 * 1024
LARGEST_PART = 20 * 1024 * 1024


@pytest.fixture(scope="module")
def ecr(registry: Registry) -> Api:
    """A client of the ECR API."""
    return registry.api()


@pytest.fixture(scope="module")
def skopeo(registry: Registry, home: Home) -> Command:
    """Skopeo, logged in."""
    program = home.command("skopeo")
    program("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    return program


@pytest.fixture
def anybody() -> Iterator[httpx.Client]:
    """A client without credentials."""
    with httpx.Client(trust_env=False, verify=False) as client:  # noqa: S501 - there is no TLS
        yield client


def parts_of(content: bytes, part_bytes: int = PART) -> Iterator[dict[str, Any]]:
    """The members of UploadLayerPart, part by part."""
    for first in range(0, len(content), part_bytes):
        part = content[first : first + part_bytes]
        yield {"partFirstByte": first, "partLastByte": first + len(part) - 1, "layerPartBlob": part}


def upload_layer(ecr: Api, repository: str, content: bytes, part_bytes: int = PART) -> str:
    """Upload a layer; answers its digest."""
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    for part in parts_of(content, part_bytes):
        answer = ecr.upload_layer_part(repositoryName=repository, uploadId=upload, **part)
        assert answer["lastByteReceived"] == part["partLastByte"]
    digest = digest_of(content)
    completed = ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[digest])
    assert completed["layerDigest"] == digest
    return str(digest)


def put_image(ecr: Api, repository: str, image: Made, tag: str) -> None:
    """Upload an image with all that it needs."""
    for blob in image.blobs:
        upload_layer(ecr, repository, blob)
    put = ecr.put_image(
        repositoryName=repository, imageTag=tag, imageManifest=image.content.decode(), imageManifestMediaType=image.media_type
    )
    assert put["image"]["imageId"] == {"imageDigest": image.digest, "imageTag": tag}


def test_what_is_uploaded_through_the_api_is_pulled_by_skopeo(
    registry: Registry, ecr: Api, skopeo: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image("through", noise("the API", 12_000_000))

    put_image(ecr, repository, image, "1")
    skopeo("copy", f"docker://{registry.host}/{repository}:1", f"oci:{tmp_path}/pulled")

    assert read_layout(tmp_path / "pulled") == image


def test_what_skopeo_pushes_is_downloaded_through_the_api(
    registry: Registry, ecr: Api, skopeo: Command, anybody: httpx.Client, repository: str, tmp_path: Path
) -> None:
    image = an_image("pushed by", "skopeo")
    write_layout(tmp_path / "pushed", image)
    skopeo("copy", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{repository}:1")

    got = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "1"}])["images"][0]
    urls = [ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"] for digest in image.layers]

    assert got["imageManifest"].encode() == image.content
    assert [digest_of(anybody.get(url).content) for url in urls] == image.layers


def test_a_part_may_have_twenty_mebibytes(ecr: Api, repository: str) -> None:
    content = noise("large parts", LARGEST_PART + 1000)

    assert upload_layer(ecr, repository, content, LARGEST_PART) == digest_of(content)

    with pytest.raises(ClientError) as refused:
        upload_layer(ecr, repository, content, LARGEST_PART + 1)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"


def test_an_upload_goes_on_from_what_the_refusal_of_a_part_tells(ecr: Api, repository: str) -> None:
    content = noise("resumed", 3 * PART)
    parts = list(parts_of(content))
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    ecr.upload_layer_part(repositoryName=repository, uploadId=upload, **parts[0])

    with pytest.raises(ecr.exceptions.InvalidLayerPartException) as refused:
        ecr.upload_layer_part(repositoryName=repository, uploadId=upload, **parts[2])
    last = refused.value.response["lastValidByteReceived"]
    for part in parts_of(content[last + 1 :]):
        moved = {name: part[name] + last + 1 for name in ("partFirstByte", "partLastByte")}
        ecr.upload_layer_part(repositoryName=repository, uploadId=upload, **part | moved)
    completed = ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[digest_of(content)])

    assert last == PART - 1
    assert completed["layerDigest"] == digest_of(content)
    with pytest.raises(ecr.exceptions.UploadNotFoundException):
        ecr.upload_layer_part(repositoryName=repository, uploadId=upload, **parts[0])


def test_a_layer_that_is_there_is_said_to_be(ecr: Api, repository: str) -> None:
    digest = upload_layer(ecr, repository, b"twice")

    with pytest.raises(ecr.exceptions.LayerAlreadyExistsException):
        upload_layer(ecr, repository, b"twice")

    checked = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[digest, digest_of(b"never")])["layers"]
    assert [each["layerAvailability"] for each in checked] == ["AVAILABLE", "UNAVAILABLE"]


def test_an_upload_may_go_on_through_the_other_door(registry: Registry, ecr: Api, repository: str) -> None:
    content = noise("both doors", 1000)
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    path = f"/v2/{repository}/blobs/uploads/{upload}"

    with registry.http() as http:
        assert http.patch(path, content=content, headers={"Content-Range": "0-999"}).status_code == 202
    completed = ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[digest_of(content)])

    assert completed["layerDigest"] == digest_of(content)


def test_a_download_url_serves_ranges_to_anybody_who_has_it(
    registry: Registry, ecr: Api, anybody: httpx.Client, repository: str
) -> None:
    content = noise("by URL", 100_000)
    image = with_layers([content])
    registry.push(repository, image, "1")

    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=image.layers[0])["downloadUrl"]

    assert anybody.get(url).content == content
    ranged = anybody.get(url, headers={"Range": "bytes=-10"})
    assert (ranged.status_code, ranged.content) == (206, content[-10:])
    assert anybody.head(url).headers["content-length"] == str(len(content))
    assert anybody.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
    assert anybody.get(url.partition("?")[0]).status_code == 403


def test_a_layer_of_no_image_has_no_download_url(ecr: Api, repository: str) -> None:
    digest = upload_layer(ecr, repository, b"of no image")

    with pytest.raises(ecr.exceptions.LayerInaccessibleException):
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)


def test_an_index_is_put_after_its_images(registry: Registry, ecr: Api, skopeo: Command, repository: str, tmp_path: Path) -> None:
    image = an_image_for("amd64", "arm64")

    with pytest.raises(ecr.exceptions.ReferencedImagesNotFoundException):
        ecr.put_image(repositoryName=repository, imageTag="multi", imageManifest=image.content.decode())
    for number, child in enumerate(image.children):
        put_image(ecr, repository, child, f"child-{number}")
    ecr.put_image(repositoryName=repository, imageTag="multi", imageManifest=image.content.decode())
    skopeo("copy", "--all", f"docker://{registry.host}/{repository}:multi", f"oci:{tmp_path}/pulled")

    assert read_layout(tmp_path / "pulled") == image
    assert registry.describe(repository, "multi")["imageManifestMediaType"] == OCI_INDEX


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_both_formats_are_put_and_got_as_they_are(ecr: Api, repository: str, media_type: str) -> None:
    image = an_image("format", media_type=media_type)

    put_image(ecr, repository, image, "1")
    got = ecr.batch_get_image(
        repositoryName=repository, imageIds=[{"imageTag": "1"}], acceptedMediaTypes=[media_type, "application/other"]
    )

    assert got["failures"] == []
    assert got["images"][0]["imageManifest"].encode() == image.content
    assert got["images"][0]["imageManifestMediaType"] == media_type


def test_paginators_go_through_more_images_than_a_page_has(registry: Registry, ecr: Api, repository: str) -> None:
    base = an_image("many")
    with registry.http() as http:
        for blob in base.blobs:
            http.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest_of(blob)}, content=blob)
    # Blanks after the document make another image of it.
    images = [Made(base.content + b" " * number, base.media_type) for number in range(1100)]
    registry.push_all(repository, images)
    digests = {image.digest for image in images}

    described = list(pages(ecr, "describe_images", "imageDetails", repositoryName=repository))
    listed = list(pages(ecr, "list_images", "imageIds", repositoryName=repository))
    by_seven = list(
        pages(ecr, "list_images", "imageIds", repositoryName=repository, PaginationConfig={"PageSize": 700, "MaxItems": 1000})
    )

    assert [len(page) for page in described] == [100] * 11
    assert {image["imageDigest"] for page in described for image in page} == digests
    assert [len(page) for page in listed] == [100] * 11
    assert {image["imageDigest"] for page in listed for image in page} == digests
    assert [len(page) for page in by_seven] == [700, 300]


def test_paginators_go_through_repositories(registry: Registry, ecr: Api) -> None:
    names = [registry.create_repository(f"pages/of/{number:02}") for number in range(7)]

    found = list(pages(ecr, "describe_repositories", "repositories", PaginationConfig={"PageSize": 3}))

    assert all(len(page) == 3 for page in found[:-1])
    assert [each["repositoryName"] for page in found for each in page if each["repositoryName"].startswith("pages/of/")] == names


def pages(ecr: Api, operation: str, member: str, **members: object) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list."""
    for page in ecr.get_paginator(operation).paginate(**members):
        yield page[member]


def test_the_caller_is_the_root_of_the_account(registry: Registry) -> None:
    assert registry.api("sts").get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


def test_a_token_ends_after_twelve_hours_and_names_the_registry(registry: Registry, ecr: Api) -> None:
    given = ecr.get_authorization_token()
    data = given["authorizationData"][0]

    answered_at = given["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert data["proxyEndpoint"] == registry.url
    assert 11.9 < (data["expiresAt"] - parsedate_to_datetime(answered_at)).total_seconds() / 3600 <= 12.01
    with httpx.Client(trust_env=False, verify=False) as client:  # noqa: S501 - there is no TLS
        header = {"Authorization": f"Basic {data['authorizationToken']}"}
        assert client.get(f"{registry.url}/v2/", headers=header).status_code == 200
