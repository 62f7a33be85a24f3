"""Crane, which stands for all that is built on go-containerregistry: ko, kaniko, cosign."""

import tarfile
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from ecru.oci.media_types import DOCKER_MANIFEST, OCI_INDEX
from tests.clients.images import an_image, an_image_for, read_layout, write_layout
from tests.clients.registry import Command, Home, Registry


@pytest.fixture(scope="module")
def crane(registry: Registry, home: Home) -> Command:
    """Crane, logged in."""
    program = home.command("crane")
    program("auth", "login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    return program


def test_an_image_comes_back_as_it_was_pushed(registry: Registry, crane: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("one", "two")
    name = f"{registry.host}/{repository}:1"

    printed = crane("push", write_layout(tmp_path / "pushed", image), name)
    crane("pull", "--format", "oci", name, tmp_path / "pulled")

    assert printed.strip() == f"{registry.host}/{repository}@{image.digest}"
    assert read_layout(tmp_path / "pulled") == image
    assert registry.tags(repository) == {"1": image.digest}
    assert crane("digest", name).strip() == image.digest
    assert crane("manifest", name).encode() == image.content
    assert "PASS" in crane("validate", "--remote", name)


def test_an_image_from_a_tarball_comes_in_the_format_of_docker(
    registry: Registry, crane: Command, repository: str, tmp_path: Path
) -> None:
    name = f"{registry.host}/{repository}"
    registry.push(repository, an_image("tarball"), "oci")

    crane("pull", f"{name}:oci", tmp_path / "image.tar")
    crane("push", tmp_path / "image.tar", f"{name}:docker")

    described = registry.describe(repository, "docker")
    assert described["imageManifestMediaType"] == DOCKER_MANIFEST
    assert digest_of(crane("manifest", f"{name}:docker").encode()) == described["imageDigest"]
    assert "PASS" in crane("validate", "--remote", f"{name}:docker")


def test_an_index_comes_back_whole(registry: Registry, crane: Command, repository: str, tmp_path: Path) -> None:
    image = an_image_for("amd64", "arm64")
    name = f"{registry.host}/{repository}:multi"
    registry.push(repository, image, "multi")

    crane("pull", "--format", "oci", name, tmp_path / "pulled")
    listed = crane("index", "list", name)

    assert read_layout(tmp_path / "pulled") == image
    assert [child.digest in listed for child in image.children] == [True, True]
    assert crane("digest", "--platform", "linux/arm64", name).strip() == image.children[1].digest


def test_images_are_put_into_an_index_and_filtered_out_of_it(registry: Registry, crane: Command, repository: str) -> None:
    image = an_image_for("amd64", "arm64")
    for child in image.children:
        registry.push(repository, child)
    name = f"{registry.host}/{repository}"

    appended = [argument for child in image.children for argument in ("--manifest", f"{name}@{child.digest}")]
    crane("index", "append", *appended, "--tag", f"{name}:both")
    crane("index", "filter", f"{name}:both", "--platform", "linux/arm64", "--tag", f"{name}:one")

    assert registry.describe(repository, "both")["imageManifestMediaType"] == OCI_INDEX
    with registry.http() as http:
        children = {tag: http.get(f"/v2/{repository}/manifests/{tag}").json()["manifests"] for tag in ("both", "one")}
    assert [child["digest"] for child in children["both"]] == [child.digest for child in image.children]
    assert [child["digest"] for child in children["one"]] == [image.children[1].digest]


def test_a_copy_to_another_repository_keeps_the_digest(registry: Registry, crane: Command, tmp_path: Path) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image_for("amd64", "arm64", text="copied")
    registry.push(source, image, "1")

    crane("copy", f"{registry.host}/{source}:1", f"{registry.host}/{target}:1")

    assert registry.tags(target) == {"1": image.digest}
    crane("pull", "--format", "oci", f"{registry.host}/{target}:1", tmp_path / "pulled")
    assert read_layout(tmp_path / "pulled") == image


def test_a_copy_takes_all_tags(registry: Registry, crane: Command) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    images = {"1": an_image("first"), "2": an_image("second"), "latest": an_image("second")}
    for tag, image in images.items():
        registry.push(source, image, tag)

    crane("copy", "--all-tags", f"{registry.host}/{source}", f"{registry.host}/{target}")

    assert registry.tags(target) == {tag: image.digest for tag, image in images.items()}


def test_layers_are_mounted_from_another_repository_when_the_account_allows_it(
    registry: Registry, crane: Command, mounting: None
) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image("mounted", "by crane")
    registry.push(source, image, "1")

    crane("copy", f"{registry.host}/{source}:1", f"{registry.host}/{target}:1")

    assert registry.tags(target) == {"1": image.digest}
    registry.wait_for_statuses(target, POST=[201, 201, 201], PATCH=[])


def test_a_tag_is_added_and_listed(registry: Registry, crane: Command, repository: str) -> None:
    image = an_image("tagged")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}"

    crane("tag", f"{name}:1", "stable")

    assert crane("ls", name).split() == ["1", "stable"]
    assert registry.tags(repository) == {"1": image.digest, "stable": image.digest}


def test_repositories_are_listed(registry: Registry, crane: Command) -> None:
    names = [registry.create_repository(name) for name in ("listed/a", "listed/b")]

    assert set(names) <= set(crane("catalog", registry.host).split())


def test_labels_and_layers_are_added_to_an_image(registry: Registry, crane: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("before")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}"
    (tmp_path / "added").write_text("after")
    with tarfile.open(tmp_path / "layer.tar", "w") as layer:
        layer.add(tmp_path / "added", "added")

    crane("mutate", f"{name}:1", "--label", "team=core", "--annotation", "org.example.of=core", "--tag", f"{name}:2")
    crane("append", "--base", f"{name}:2", "--new_layer", tmp_path / "layer.tar", "--new_tag", f"{name}:3")
    crane("export", f"{name}:3", tmp_path / "exported.tar")

    assert sorted(registry.tags(repository)) == ["1", "2", "3"]
    assert '"team":"core"' in crane("config", f"{name}:3")
    with tarfile.open(tmp_path / "exported.tar") as exported:
        assert {"file-0", "added"} <= set(exported.getnames())


def test_delete_by_tag_takes_the_tag_and_by_digest_the_image(registry: Registry, crane: Command, repository: str) -> None:
    image = an_image("deleted")
    registry.push(repository, image, "1", "2")
    name = f"{registry.host}/{repository}"

    crane("delete", f"{name}:1")
    after_tag = registry.tags(repository)
    crane("delete", f"{name}@{image.digest}")

    assert after_tag == {"2": image.digest}
    assert registry.tags(repository) == {}
    assert "MANIFEST_UNKNOWN" in crane.fails("manifest", f"{name}@{image.digest}")


def test_an_image_that_an_index_lists_is_not_deleted(registry: Registry, crane: Command, repository: str) -> None:
    image = an_image_for("amd64", "arm64")
    registry.push(repository, image, "multi")

    refused = crane.fails("delete", f"{registry.host}/{repository}@{image.children[0].digest}")

    assert "405" in refused or "UNSUPPORTED" in refused
    assert registry.describe(repository, image.children[0].digest)


def test_a_moved_tag_is_refused_in_an_immutable_repository(registry: Registry, crane: Command, tmp_path: Path) -> None:
    repository = registry.create_repository(imageTagMutability="IMMUTABLE")
    first, second = an_image("first"), an_image("second")
    registry.push(repository, first, "1")
    name = f"{registry.host}/{repository}:1"

    refused = crane.fails("push", write_layout(tmp_path / "second", second), name)
    crane("push", write_layout(tmp_path / "first", first), name)

    assert "TAG_INVALID" in refused
    assert registry.tags(repository) == {"1": first.digest}
