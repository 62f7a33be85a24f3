"""Buildah: builds from scratch, pushes and pulls, with the vfs driver and chroot isolation, so that it needs no more than root."""

import json
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.clients.images import an_image, an_image_for
from tests.clients.registry import Command, Home, Registry
from tests.peers import peer


@pytest.fixture(scope="module")
def buildah(registry: Registry, home: Home) -> Command:
    """Buildah, logged in."""
    program = home.command("buildah")
    program("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    return program


def test_a_build_from_scratch_is_pushed_and_pulled(registry: Registry, buildah: Command, repository: str, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello")
    name = f"{registry.host}/{repository}:1"
    container = buildah("from", "scratch").strip()
    buildah("copy", container, tmp_path / "greeting", "/greeting")
    buildah("config", "--label", "team=core", container)
    buildah("commit", "--rm", container, name)

    buildah("push", "--digestfile", tmp_path / "digest", name)
    buildah("rmi", name)
    buildah("pull", name)

    pushed = (tmp_path / "digest").read_text()
    assert registry.tags(repository) == {"1": pushed}
    assert buildah.json("inspect", "--type", "image", name)["FromImageDigest"] == pushed
    with registry.http() as http:
        manifest = http.get(f"/v2/{repository}/manifests/1")
        config = http.get(f"/v2/{repository}/blobs/{manifest.json()['config']['digest']}")
    assert digest_of(manifest.content) == pushed
    assert config.json()["config"]["Labels"]["team"] == "core"


def test_a_containerfile_with_a_program_is_built_pushed_and_built_upon(
    registry: Registry, buildah: Command, repository: str, tmp_path: Path
) -> None:
    # A static program, as images from scratch hold one; it makes a layer of many megabytes.
    (tmp_path / "program").hardlink_to(peer("crane"))
    (tmp_path / "First").write_text('FROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n')
    (tmp_path / "Second").write_text(f'FROM {registry.host}/{repository}:1\nRUN ["/program", "version"]\nCOPY Second /\n')

    buildah("build", "--file", tmp_path / "First", "--tag", f"{registry.host}/{repository}:1", tmp_path)
    buildah("push", f"{registry.host}/{repository}:1")
    buildah("rmi", "--all", "--force")
    buildah("build", "--pull-always", "--file", tmp_path / "Second", "--tag", f"{registry.host}/{repository}:2", tmp_path)
    buildah("push", "--digestfile", tmp_path / "digest", f"{registry.host}/{repository}:2")

    assert registry.tags(repository)["2"] == (tmp_path / "digest").read_text()
    with registry.http() as http:
        first, second = (http.get(f"/v2/{repository}/manifests/{tag}").json() for tag in ("1", "2"))
    assert second["layers"][0] == first["layers"][0]
    assert len(second["layers"]) > 1


@pytest.mark.parametrize("name, media_type", [("oci", OCI_MANIFEST), ("docker", DOCKER_MANIFEST)])
def test_both_formats_are_taken(
    registry: Registry, buildah: Command, repository: str, tmp_path: Path, name: str, media_type: str
) -> None:
    container = buildah("from", "scratch").strip()
    image = f"{registry.host}/{repository}:{name}"
    buildah("commit", "--rm", "--format", name, container, image)

    buildah("push", "--format", name, "--digestfile", tmp_path / "digest", image)

    described = registry.describe(repository, name)
    assert described["imageManifestMediaType"] == media_type
    assert described["imageDigest"] == (tmp_path / "digest").read_text()


def test_a_manifest_list_is_pushed_with_its_images(registry: Registry, buildah: Command, repository: str, tmp_path: Path) -> None:
    name = f"{registry.host}/{repository}:multi"
    buildah("manifest", "create", "several")
    for architecture in ("amd64", "arm64"):
        container = buildah("from", "--arch", architecture, "scratch").strip()
        buildah("config", "--arch", architecture, container)
        buildah("commit", "--rm", "--manifest", "several", container)

    buildah("manifest", "push", "--all", "--digestfile", tmp_path / "digest", "several", f"docker://{name}")

    assert registry.tags(repository) == {"multi": (tmp_path / "digest").read_text()}
    with registry.http() as http:
        index = http.get(f"/v2/{repository}/manifests/multi")
        children = [http.get(f"/v2/{repository}/manifests/{child['digest']}") for child in index.json()["manifests"]]
    assert index.headers["content-type"] == OCI_INDEX
    assert [child["platform"]["architecture"] for child in index.json()["manifests"]] == ["amd64", "arm64"]
    assert [digest_of(child.content) for child in children] == [child["digest"] for child in index.json()["manifests"]]


def test_an_image_of_others_is_pulled_by_tag_and_by_digest(registry: Registry, buildah: Command, repository: str) -> None:
    image = an_image("from elsewhere")
    registry.push(repository, image, "1")

    by_tag = buildah("pull", f"{registry.host}/{repository}:1").strip()
    by_digest = buildah("pull", f"{registry.host}/{repository}@{image.digest}").strip()

    # The id of an image is the digest of its config.
    assert by_tag == by_digest == json.loads(image.content)["config"]["digest"].removeprefix("sha256:")


def test_the_image_for_an_architecture_is_picked_from_an_index(registry: Registry, buildah: Command, repository: str) -> None:
    image = an_image_for("amd64", "arm64", text="picked")
    registry.push(repository, image, "1")

    pulled = buildah("pull", "--arch", "arm64", f"{registry.host}/{repository}:1").strip()

    assert pulled == json.loads(image.children[1].content)["config"]["digest"].removeprefix("sha256:")
