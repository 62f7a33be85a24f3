"""Skopeo: copies between layouts, repositories and formats."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.clients.images import Made, an_image, an_image_for, read_layout, write_layout
from tests.clients.registry import Command, Home, Registry


@pytest.fixture(scope="module")
def skopeo(registry: Registry, home: Home) -> Command:
    """Skopeo, logged in."""
    program = home.command("skopeo")
    printed = program("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    assert "Login Succeeded" in printed
    return program


def test_a_wrong_password_is_refused_at_login(registry: Registry, skopeo: Command, tmp_path: Path) -> None:
    refused = skopeo.fails(
        "login", "--authfile", tmp_path / "auth.json", "--username", "AWS", "--password-stdin", registry.host, stdin="wrong"
    )

    assert "invalid username/password" in refused


def test_an_image_comes_back_as_it_was_pushed(registry: Registry, skopeo: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("one", "two", "three")
    write_layout(tmp_path / "pushed", image)

    skopeo("copy", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{repository}:1")
    skopeo("copy", f"docker://{registry.host}/{repository}:1", f"oci:{tmp_path}/pulled:latest")

    assert read_layout(tmp_path / "pulled") == image
    assert registry.tags(repository) == {"1": image.digest}
    assert registry.describe(repository, "1")["imageManifestMediaType"] == OCI_MANIFEST


def test_an_image_is_pulled_by_digest(registry: Registry, skopeo: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("by digest")
    registry.push(repository, image)

    skopeo("copy", f"docker://{registry.host}/{repository}@{image.digest}", f"oci:{tmp_path}/pulled")

    assert read_layout(tmp_path / "pulled") == image


def test_an_image_in_the_format_of_docker_stays_in_it(registry: Registry, skopeo: Command, repository: str, tmp_path: Path) -> None:
    write_layout(tmp_path / "pushed", an_image("docker"))

    skopeo("copy", "--format", "v2s2", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{repository}:1")
    skopeo("copy", f"docker://{registry.host}/{repository}:1", f"dir:{tmp_path}/pulled")

    manifest = (tmp_path / "pulled" / "manifest.json").read_bytes()
    described = registry.describe(repository, "1")
    assert json.loads(manifest)["mediaType"] == described["imageManifestMediaType"] == DOCKER_MANIFEST
    assert digest_of(manifest) == described["imageDigest"]
    for part in [json.loads(manifest)["config"], *json.loads(manifest)["layers"]]:
        assert digest_of((tmp_path / "pulled" / part["digest"].removeprefix("sha256:")).read_bytes()) == part["digest"]


def test_an_image_of_several_architectures_comes_back_whole(
    registry: Registry, skopeo: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image_for("amd64", "arm64", "s390x")
    write_layout(tmp_path / "pushed", image)

    skopeo("copy", "--all", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{repository}:multi")
    skopeo("copy", "--all", f"docker://{registry.host}/{repository}:multi", f"oci:{tmp_path}/pulled:latest")

    assert read_layout(tmp_path / "pulled") == image
    assert registry.tags(repository) == {"multi": image.digest}
    assert registry.describe(repository, "multi")["imageManifestMediaType"] == OCI_INDEX
    for child in image.children:
        assert registry.describe(repository, child.digest)["imageDigest"] == child.digest


def test_one_architecture_is_picked_from_an_index(registry: Registry, skopeo: Command, repository: str, tmp_path: Path) -> None:
    image = an_image_for("amd64", "arm64")
    registry.push(repository, image, "multi")

    skopeo("--override-arch", "arm64", "copy", f"docker://{registry.host}/{repository}:multi", f"oci:{tmp_path}/pulled")

    assert read_layout(tmp_path / "pulled") == image.children[1]


def an_image_never_seen() -> Made:
    """An image of which skopeo remembers nothing: as root it keeps one list for the whole machine of where blobs lie."""
    return an_image(f"one {uuid4()}", f"two {uuid4()}")


def test_layers_are_mounted_from_another_repository_when_the_account_allows_it(
    registry: Registry, skopeo: Command, tmp_path: Path, mounting: None
) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image_never_seen()
    write_layout(tmp_path / "pushed", image)
    skopeo("copy", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{source}:1")

    skopeo("copy", f"docker://{registry.host}/{source}:1", f"docker://{registry.host}/{target}:1")

    # Skopeo carries the config itself.
    registry.wait_for_statuses(target, POST=[201, 201, 202], PATCH=[202])
    assert registry.tags(target) == {"1": image.digest}
    skopeo("copy", f"docker://{registry.host}/{target}:1", f"oci:{tmp_path}/pulled")
    assert read_layout(tmp_path / "pulled") == image


def test_layers_are_uploaded_to_another_repository_when_it_does_not(registry: Registry, skopeo: Command, tmp_path: Path) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image_never_seen()
    write_layout(tmp_path / "pushed", image)
    skopeo("copy", f"oci:{tmp_path}/pushed:latest", f"docker://{registry.host}/{source}:1")

    skopeo("copy", f"docker://{registry.host}/{source}:1", f"docker://{registry.host}/{target}:1")

    # It gives back the uploads that its refused mounts opened.
    registry.wait_for_statuses(target, POST=[202] * 5, PATCH=[202] * 3, DELETE=[204] * 2)
    assert registry.tags(target) == {"1": image.digest}


def test_inspect_tells_digest_layers_and_tags(registry: Registry, skopeo: Command, repository: str) -> None:
    image = an_image("inspected", "twice")
    registry.push(repository, image, "1", "2")

    inspected = skopeo.json("inspect", f"docker://{registry.host}/{repository}:1")
    raw = skopeo("inspect", "--raw", f"docker://{registry.host}/{repository}:1")

    assert inspected["Name"] == f"{registry.host}/{repository}"
    assert inspected["Digest"] == image.digest
    assert inspected["Layers"] == image.layers
    assert inspected["RepoTags"] == ["1", "2"]
    assert raw.encode() == image.content


def test_list_tags_lists_them_in_byte_order(registry: Registry, skopeo: Command, repository: str) -> None:
    registry.push(repository, an_image("tagged"), "b", "a", "a-b", "a.b", "A", "_", "10", "9")

    listed = skopeo.json("list-tags", f"docker://{registry.host}/{repository}")

    assert listed["Tags"] == ["10", "9", "A", "_", "a", "a-b", "a.b", "b"]


def test_delete_deletes_the_image_behind_a_tag(registry: Registry, skopeo: Command, repository: str) -> None:
    image, other = an_image("deleted"), an_image("kept")
    registry.push(repository, image, "1", "2")
    registry.push(repository, other, "3")

    skopeo("delete", f"docker://{registry.host}/{repository}:1")

    assert registry.tags(repository) == {"3": other.digest}
    assert "Requested image not found" in skopeo.fails("inspect", f"docker://{registry.host}/{repository}@{image.digest}")


def test_sync_brings_all_tags_of_a_repository_and_takes_them_elsewhere(registry: Registry, skopeo: Command, tmp_path: Path) -> None:
    source, images = registry.create_repository("source/app"), {"1": an_image("first"), "2": an_image("second")}
    for tag, image in images.items():
        registry.push(source, image, tag)
    target = registry.create_repository("target/app")

    skopeo("sync", "--src", "docker", "--dest", "dir", "--scoped", f"{registry.host}/{source}", tmp_path)
    synced = tmp_path / registry.host / "source"
    skopeo("sync", "--src", "dir", "--dest", "docker", synced, f"{registry.host}/target")

    assert registry.tags(target) == {tag: image.digest for tag, image in images.items()}


def test_a_repository_that_is_not_there_is_named_in_the_error(registry: Registry, skopeo: Command, tmp_path: Path) -> None:
    write_layout(tmp_path, an_image())

    refused = skopeo.fails("copy", f"oci:{tmp_path}:latest", f"docker://{registry.host}/not/made:1")

    assert "The repository with name 'not/made' does not exist" in refused
