"""Regctl: the client that uploads in chunks, and asks for a mount before every upload."""

from pathlib import Path

import pytest

from tests.clients.images import an_image, an_image_for, noise, read_layout, with_layers, write_layout
from tests.clients.registry import Command, Home, Registry

NOTE = "application/vnd.example.note"


@pytest.fixture(scope="module")
def regctl(registry: Registry, home: Home) -> Command:
    """Regctl, logged in."""
    program = home.command("regctl")
    program("registry", "set", "--skip-check", "--tls", "disabled", registry.host)
    program("registry", "login", "--user", "AWS", "--pass-stdin", registry.host, stdin=registry.password)
    return program


@pytest.fixture
def in_chunks(tmp_path: Path, registry: Registry) -> Command:
    """A regctl of its own that sends all above 100 kB in chunks of as much."""
    program = Home(tmp_path / "home", registry).command("regctl")
    program("registry", "set", "--skip-check", "--tls", "disabled", registry.host)
    program("registry", "set", "--skip-check", "--blob-chunk", 100_000, "--blob-max", 100_000, registry.host)
    program("registry", "login", "--user", "AWS", "--pass-stdin", registry.host, stdin=registry.password)
    return program


def test_an_image_comes_back_as_it_was_pushed(registry: Registry, regctl: Command, repository: str, tmp_path: Path) -> None:
    image = an_image_for("amd64", "arm64")
    write_layout(tmp_path / "pushed", image, "1")
    name = f"{registry.host}/{repository}:1"

    regctl("image", "copy", f"ocidir://{tmp_path}/pushed:1", name)
    regctl("image", "copy", name, f"ocidir://{tmp_path}/pulled:1")

    assert read_layout(tmp_path / "pulled", "1") == image
    assert registry.tags(repository) == {"1": image.digest}
    assert regctl("image", "digest", name).strip() == image.digest
    assert regctl("image", "digest", "--platform", "linux/arm64", name).strip() == image.children[1].digest


def test_an_anonymous_mount_that_is_refused_becomes_the_upload(
    registry: Registry, regctl: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image("anonymous", "mount")
    write_layout(tmp_path, image, "1")

    regctl("image", "copy", f"ocidir://{tmp_path}:1", f"{registry.host}/{repository}:1")

    assert registry.tags(repository) == {"1": image.digest}
    # One session for each blob: the one that its mount opened is used.
    registry.wait_for_statuses(repository, POST=[202] * 3, PATCH=[], DELETE=[])


def test_layers_are_mounted_from_another_repository_when_the_account_allows_it(
    registry: Registry, regctl: Command, mounting: None
) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image("mounted", "by regctl")
    registry.push(source, image, "1")

    regctl("image", "copy", f"{registry.host}/{source}:1", f"{registry.host}/{target}:1")

    assert registry.tags(target) == {"1": image.digest}
    registry.wait_for_statuses(target, POST=[201] * 3, PATCH=[])


def test_a_layer_is_uploaded_in_chunks(registry: Registry, in_chunks: Command, repository: str, tmp_path: Path) -> None:
    layer = noise("chunks", 1_234_567)
    image = with_layers([layer])
    write_layout(tmp_path / "pushed", image, "1")
    name = f"{registry.host}/{repository}:1"

    in_chunks("image", "copy", f"ocidir://{tmp_path}/pushed:1", name)
    in_chunks("image", "copy", name, f"ocidir://{tmp_path}/pulled:1")

    assert read_layout(tmp_path / "pulled", "1") == image
    registry.wait_for_statuses(repository, PATCH=[202] * 13)


def test_a_blob_of_unknown_length_is_uploaded_and_read(registry: Registry, in_chunks: Command, repository: str) -> None:
    content = noise("unknown length", 345_678).hex()

    digest = in_chunks("blob", "put", f"{registry.host}/{repository}", stdin=content).strip()

    assert in_chunks("blob", "get", f"{registry.host}/{repository}", digest) == content
    registry.wait_for_statuses(repository, PATCH=[202] * 7)


def test_tags_are_listed_in_pages_and_deleted(registry: Registry, regctl: Command, repository: str) -> None:
    image = an_image("tagged")
    registry.push(repository, image, "1", "2", "3", "latest")
    name = f"{registry.host}/{repository}"

    first = regctl("tag", "ls", "--limit", 2, name).split()
    second = regctl("tag", "ls", "--limit", 2, "--last", "2", name).split()
    regctl("tag", "delete", f"{name}:2")

    assert (first, second) == (["1", "2"], ["3", "latest"])
    assert registry.tags(repository) == dict.fromkeys(["1", "3", "latest"], image.digest)


def test_a_manifest_is_deleted_by_digest_with_all_its_tags(registry: Registry, regctl: Command, repository: str) -> None:
    image = an_image("deleted")
    registry.push(repository, image, "1", "2")

    regctl("manifest", "delete", f"{registry.host}/{repository}@{image.digest}")

    assert registry.tags(repository) == {}


def test_artifacts_of_an_image_are_put_listed_and_got(registry: Registry, regctl: Command, repository: str) -> None:
    image = an_image("subject")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}:1"

    regctl("artifact", "put", "--artifact-type", NOTE, "--subject", name, stdin="of the image")
    regctl("artifact", "put", "--artifact-type", "application/other", "--subject", name, stdin="something else")

    listed = regctl.json("artifact", "list", "--filter-artifact-type", NOTE, "--format", "{{jsonPretty .Descriptors}}", name)
    assert [each["artifactType"] for each in listed] == [NOTE]
    assert regctl("artifact", "get", "--subject", name, "--filter-artifact-type", NOTE) == "of the image"
    assert registry.tags(repository) == {"1": image.digest}


def test_a_copy_takes_artifacts_with_it(registry: Registry, regctl: Command, tmp_path: Path) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image("with a note")
    registry.push(source, image, "1")
    regctl("artifact", "put", "--artifact-type", NOTE, "--subject", f"{registry.host}/{source}:1", stdin="of the image")

    regctl("image", "copy", "--referrers", f"{registry.host}/{source}:1", f"{registry.host}/{target}:1")

    assert registry.tags(target) == {"1": image.digest}
    assert regctl("artifact", "get", "--subject", f"{registry.host}/{target}:1", "--filter-artifact-type", NOTE) == "of the image"


def test_an_image_is_changed_in_place(registry: Registry, regctl: Command, repository: str) -> None:
    image = an_image("before")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}"

    regctl("image", "mod", f"{name}:1", "--label", "team=core", "--create", f"{name}:2")

    changed = regctl("image", "digest", f"{name}:2").strip()
    assert registry.tags(repository) == {"1": image.digest, "2": changed}
    assert regctl.json("image", "inspect", f"{name}:2")["config"]["Labels"] == {"team": "core"}


def test_repositories_are_listed_in_pages(registry: Registry, regctl: Command) -> None:
    names = sorted(registry.create_repository(f"paged/{number}") for number in range(3))

    assert regctl("repo", "ls", "--limit", 2, "--last", "paged/", registry.host).split() == names[:2]
    assert regctl("repo", "ls", "--limit", 1, "--last", names[1], registry.host).split() == names[2:]
