"""Podman: builds, pushes, pulls and manifest lists; it runs no containers here."""

import json
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from tests.clients.images import an_image, an_image_for
from tests.clients.registry import Command, Home, Registry


@pytest.fixture(scope="module")
def podman(registry: Registry, home: Home) -> Command:
    """Podman, logged in."""
    program = home.command("podman")
    printed = program("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    assert "Login Succeeded" in printed
    return program


def build(podman: Command, folder: Path, name: str, *arguments: object) -> None:
    """Build an image that holds one file."""
    (folder / "greeting").write_text(name)
    (folder / "Containerfile").write_text("FROM scratch\nCOPY greeting /\n")
    podman("build", "--isolation", "chroot", *arguments, "--tag", name, folder)


def test_a_build_is_pushed_and_pulled(registry: Registry, podman: Command, repository: str, tmp_path: Path) -> None:
    name = f"{registry.host}/{repository}:1"
    build(podman, tmp_path, name)
    built = podman("image", "inspect", "--format", "{{.Id}}", name).strip()

    podman("push", "--digestfile", tmp_path / "digest", name)
    podman("rmi", name)
    pulled = podman("pull", "--quiet", name).strip()

    assert pulled == built
    assert registry.tags(repository) == {"1": (tmp_path / "digest").read_text()}
    assert podman("image", "inspect", "--format", "{{.Digest}}", name).strip() == (tmp_path / "digest").read_text()


def test_an_image_of_others_comes_out_as_it_is(registry: Registry, podman: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("from", "elsewhere")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}:1"

    pulled = podman("pull", "--quiet", name).strip()
    podman("tag", name, f"{registry.host}/{repository}:2")
    podman("push", f"{registry.host}/{repository}:2")

    assert pulled == json.loads(image.content)["config"]["digest"].removeprefix("sha256:")
    assert podman("image", "inspect", "--format", "{{.Digest}}", name).strip() == image.digest
    # Nothing was packed anew: the same manifest has a second tag.
    assert registry.tags(repository) == {"1": image.digest, "2": image.digest}


def test_a_manifest_list_is_pushed_with_its_images(registry: Registry, podman: Command, repository: str, tmp_path: Path) -> None:
    podman("manifest", "create", "several")
    for architecture in ("amd64", "arm64"):
        build(podman, tmp_path, f"for-{architecture}", "--arch", architecture)
        podman("manifest", "add", "several", f"containers-storage:localhost/for-{architecture}:latest")

    podman(
        "manifest", "push", "--all", "--digestfile", tmp_path / "digest", "several", f"docker://{registry.host}/{repository}:multi"
    )

    assert registry.tags(repository) == {"multi": (tmp_path / "digest").read_text()}
    with registry.http() as http:
        index = http.get(f"/v2/{repository}/manifests/multi").json()
        children = [http.get(f"/v2/{repository}/manifests/{child['digest']}") for child in index["manifests"]]
    assert sorted(child["platform"]["architecture"] for child in index["manifests"]) == ["amd64", "arm64"]
    assert [digest_of(child.content) for child in children] == [child["digest"] for child in index["manifests"]]


def test_the_image_for_an_architecture_is_picked_from_an_index(registry: Registry, podman: Command, repository: str) -> None:
    image = an_image_for("amd64", "arm64", text="picked")
    registry.push(repository, image, "1")

    pulled = podman("pull", "--quiet", "--arch", "arm64", f"{registry.host}/{repository}:1").strip()

    assert pulled == json.loads(image.children[1].content)["config"]["digest"].removeprefix("sha256:")


def test_the_tags_of_a_repository_are_listed(registry: Registry, podman: Command, repository: str) -> None:
    registry.push(repository, an_image(), "1", "2", "latest")

    listed = podman.json("search", "--list-tags", "--format", "json", f"{registry.host}/{repository}")

    assert listed == [{"Name": f"{registry.host}/{repository}", "Tags": ["1", "2", "latest"]}]


def test_a_repository_that_is_not_there_is_named_in_the_error(registry: Registry, podman: Command, tmp_path: Path) -> None:
    build(podman, tmp_path, "nowhere")

    refused = podman.fails("push", "nowhere", f"{registry.host}/not/made:1")

    assert "The repository with name 'not/made' does not exist" in refused


def test_nothing_is_pulled_without_a_login(registry: Registry, podman: Command, repository: str, tmp_path: Path) -> None:
    registry.push(repository, an_image(), "1")
    (tmp_path / "nobody.json").write_text("{}")

    refused = podman.fails("pull", "--authfile", tmp_path / "nobody.json", f"{registry.host}/{repository}:1")

    assert "unauthorized: Not Authorized" in refused
