"""ORAS: artifacts, and what is attached to images; it stands for helm and notation too, which share its library."""

import json
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from tests.clients.images import an_artifact, an_image, an_image_for, read_layout, write_layout
from tests.clients.registry import Command, Home, Registry

NOTE = "application/vnd.example.note"
BILL = "application/spdx+json"


@pytest.fixture(scope="module")
def oras(registry: Registry, home: Home) -> Command:
    """ORAS, logged in."""
    program = home.command("oras")
    printed = program("login", "--plain-http", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    assert "Login Succeeded" in printed
    return program


def attach(oras: Command, name: str, folder: Path, artifact_type: str, text: str) -> str:
    """Attach a file to an image; answers the digest of what was attached."""
    (folder / "note.txt").write_text(text)
    printed = oras.json(
        *("attach", "--plain-http", "--disable-path-validation", "--format", "json"),
        *("--artifact-type", artifact_type, name, f"{folder}/note.txt:text/plain"),
    )
    return str(printed["digest"])


def test_an_artifact_comes_back_as_it_was_pushed(registry: Registry, oras: Command, repository: str, tmp_path: Path) -> None:
    files = {"one.txt": b"one", "two.bin": bytes(range(256)) * 100}
    for file, content in files.items():
        (oras.home.folder / file).write_bytes(content)
    name = f"{registry.host}/{repository}:1"

    pushed = oras.json(
        *("push", "--plain-http", "--format", "json", "--artifact-type", NOTE, "--annotation", "org.example.of=core"),
        *(name, "one.txt:text/plain", "two.bin"),
    )
    oras("pull", "--plain-http", "--output", tmp_path, name)

    assert {file: (tmp_path / file).read_bytes() for file in files} == files
    assert oras("resolve", "--plain-http", name).strip() == pushed["digest"]
    described = registry.describe(repository, "1")
    assert (described["imageDigest"], described["artifactMediaType"]) == (pushed["digest"], NOTE)


def test_what_is_attached_is_discovered_through_the_api_and_not_by_a_tag(
    registry: Registry, oras: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image("subject")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}:1"

    note = attach(oras, name, tmp_path, NOTE, "of the image")
    bill = attach(oras, name, tmp_path, BILL, "what is in it")
    about_note = attach(oras, f"{registry.host}/{repository}@{note}", tmp_path, NOTE, "of the note")

    discovered = oras.json("discover", "--plain-http", "--format", "json", name)
    by_digest = {each["digest"]: each for each in discovered["referrers"]}
    assert by_digest.keys() == {note, bill}
    assert [each["digest"] for each in by_digest[note]["referrers"]] == [about_note]
    assert {each["artifactType"] for each in by_digest.values()} == {NOTE, BILL}
    filtered = oras.json("discover", "--plain-http", "--format", "json", "--depth", 1, "--artifact-type", BILL, name)
    assert [each["digest"] for each in filtered["referrers"]] == [bill]
    # Without the API, the list would be kept under the tag sha256-….
    assert registry.tags(repository) == {"1": image.digest}
    through_api = registry.ecr.list_image_referrers(repositoryName=repository, subjectId={"imageDigest": image.digest})
    assert {each["digest"] for each in through_api["referrers"]} == {note, bill}


def test_something_is_attached_to_one_architecture_of_an_image(
    registry: Registry, oras: Command, repository: str, tmp_path: Path
) -> None:
    image = an_image_for("amd64", "arm64")
    registry.push(repository, image, "1")
    (tmp_path / "note.txt").write_text("of one")

    oras(
        *("attach", "--plain-http", "--disable-path-validation", "--artifact-type", NOTE, "--platform", "linux/arm64"),
        *(f"{registry.host}/{repository}:1", f"{tmp_path}/note.txt"),
    )

    with registry.http() as http:
        counts = [len(http.get(f"/v2/{repository}/referrers/{child.digest}").json()["manifests"]) for child in image.children]
    assert counts == [0, 1]


def test_an_artifact_may_precede_its_subject(registry: Registry, oras: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("later")
    artifact = an_artifact("of what comes later", subject=image)
    registry.push(repository, artifact)

    registry.push(repository, image, "1")
    discovered = oras.json("discover", "--plain-http", "--format", "json", f"{registry.host}/{repository}:1")

    assert [each["digest"] for each in discovered["referrers"]] == [artifact.digest]


def test_a_copy_takes_what_is_attached_with_it(registry: Registry, oras: Command, tmp_path: Path) -> None:
    source, target = registry.create_repository(), registry.create_repository()
    image = an_image("with a note")
    registry.push(source, image, "1")
    note = attach(oras, f"{registry.host}/{source}:1", tmp_path, NOTE, "of the image")

    oras(
        *("cp", "--recursive", "--from-plain-http", "--to-plain-http"),
        *(f"{registry.host}/{source}:1", f"{registry.host}/{target}:1"),
    )

    assert registry.tags(target) == {"1": image.digest}
    discovered = oras.json("discover", "--plain-http", "--format", "json", f"{registry.host}/{target}:1")
    assert [each["digest"] for each in discovered["referrers"]] == [note]


def test_a_layout_is_copied_in_and_out(registry: Registry, oras: Command, repository: str, tmp_path: Path) -> None:
    image = an_image_for("amd64", "arm64")
    write_layout(tmp_path / "pushed", image, "1")
    name = f"{registry.host}/{repository}:1"

    oras("cp", "--from-oci-layout", f"{tmp_path}/pushed:1", "--to-plain-http", name)
    oras("cp", "--from-plain-http", name, "--to-oci-layout", f"{tmp_path}/pulled:1")

    assert read_layout(tmp_path / "pulled", "1") == image
    assert registry.tags(repository) == {"1": image.digest}


def test_tags_are_listed_added_and_deleted(registry: Registry, oras: Command, repository: str) -> None:
    image = an_image("tagged")
    registry.push(repository, image, "1")
    name = f"{registry.host}/{repository}"

    oras("tag", "--plain-http", f"{name}:1", "2", "3")
    listed = oras("repo", "tags", "--plain-http", name).split()
    oras("manifest", "delete", "--plain-http", "--force", f"{name}@{image.digest}")

    assert listed == ["1", "2", "3"]
    assert registry.tags(repository) == {}
    assert "not found" in oras.fails("manifest", "fetch", "--plain-http", f"{name}:1")


def test_a_blob_is_pushed_fetched_and_deleted(registry: Registry, oras: Command, repository: str, tmp_path: Path) -> None:
    content = b"a blob of nothing"
    (tmp_path / "blob").write_bytes(content)
    name = f"{registry.host}/{repository}@{digest_of(content)}"

    oras("blob", "push", "--plain-http", name, tmp_path / "blob")
    oras("blob", "fetch", "--plain-http", "--output", tmp_path / "fetched", name)
    oras("blob", "delete", "--plain-http", "--force", name)

    assert (tmp_path / "fetched").read_bytes() == content
    assert "not found" in oras.fails("blob", "fetch", "--plain-http", "--output", tmp_path / "again", name)


def test_a_manifest_is_pushed_and_fetched_byte_for_byte(registry: Registry, oras: Command, repository: str, tmp_path: Path) -> None:
    image = an_image("odd spacing")
    registry.push(repository, image)
    manifest = json.dumps(json.loads(image.content), indent=5).encode() + b"\n\n"
    (tmp_path / "manifest").write_bytes(manifest)
    name = f"{registry.host}/{repository}"

    oras("manifest", "push", "--plain-http", f"{name}:odd", tmp_path / "manifest")
    oras("manifest", "fetch", "--plain-http", "--output", tmp_path / "fetched", f"{name}:odd")

    assert (tmp_path / "fetched").read_bytes() == manifest
    assert registry.tags(repository) == {"odd": digest_of(manifest)}


def test_an_index_is_made_of_images_that_are_there(registry: Registry, oras: Command, repository: str) -> None:
    image = an_image_for("amd64", "arm64")
    for child in image.children:
        registry.push(repository, child)
    name = f"{registry.host}/{repository}"

    oras("manifest", "index", "create", "--plain-http", f"{name}:both", *(child.digest for child in image.children))

    with registry.http() as http:
        index = http.get(f"/v2/{repository}/manifests/both").json()
    assert [child["digest"] for child in index["manifests"]] == [child.digest for child in image.children]
