"""Umoci: layouts that it makes are pushed by skopeo, and what comes back it unpacks."""

from pathlib import Path

import pytest

from tests.clients.images import read_layout
from tests.clients.registry import Command, Home, Registry


@pytest.fixture(scope="module")
def umoci(home: Home) -> Command:
    """Umoci."""
    return home.command("umoci")


@pytest.fixture(scope="module")
def skopeo(registry: Registry, home: Home) -> Command:
    """Skopeo, logged in."""
    program = home.command("skopeo")
    program("login", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    return program


def test_an_image_made_by_umoci_is_pushed_pulled_and_unpacked(
    registry: Registry, umoci: Command, skopeo: Command, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "greeting").write_text("hello")
    umoci("init", "--layout", tmp_path / "made")
    umoci("new", "--image", f"{tmp_path}/made:1")
    umoci("insert", "--image", f"{tmp_path}/made:1", tmp_path / "files", "/files")
    umoci("config", "--image", f"{tmp_path}/made:1", "--config.label", "team=core")

    skopeo("copy", f"oci:{tmp_path}/made:1", f"docker://{registry.host}/{repository}:1")
    skopeo("copy", f"docker://{registry.host}/{repository}:1", f"oci:{tmp_path}/pulled:1")
    umoci("unpack", "--image", f"{tmp_path}/pulled:1", tmp_path / "bundle")

    assert read_layout(tmp_path / "pulled", "1") == read_layout(tmp_path / "made", "1")
    assert registry.tags(repository) == {"1": read_layout(tmp_path / "made", "1").digest}
    assert (tmp_path / "bundle" / "rootfs" / "files" / "greeting").read_text() == "hello"


def test_a_layer_put_on_a_pulled_image_is_all_that_is_pushed(
    registry: Registry, umoci: Command, skopeo: Command, repository: str, tmp_path: Path
) -> None:
    layout = f"{tmp_path}/made"
    for number in ("1", "2"):
        (tmp_path / number).write_text(number)
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:1")
    umoci("insert", "--image", f"{layout}:1", tmp_path / "1", "/1")
    skopeo("copy", f"oci:{layout}:1", f"docker://{registry.host}/{repository}:1")
    registry.wait_for_statuses(repository, POST=[202] * 2)

    umoci("insert", "--image", f"{layout}:1", "--tag", "2", tmp_path / "2", "/2")
    skopeo("copy", f"oci:{layout}:2", f"docker://{registry.host}/{repository}:2")

    first, second = read_layout(Path(layout), "1"), read_layout(Path(layout), "2")
    assert second.layers[:-1] == first.layers
    assert registry.tags(repository) == {"1": first.digest, "2": second.digest}
    # The new layer and the new config.
    registry.wait_for_statuses(repository, POST=[202] * 4)
