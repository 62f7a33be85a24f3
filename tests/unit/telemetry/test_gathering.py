"""Where a server's metrics lie while it runs: in memory, in a folder that is its own."""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecru.telemetry.gathering import folder_in_memory


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder for the data in the test's own."""
    found = folder_in_memory(tmp_path)
    if found is None:
        pytest.skip("this machine has no /dev/shm")
    yield found
    if found.is_symlink() or found.is_file():
        found.unlink()
    else:
        shutil.rmtree(found)


def test_each_data_folder_has_a_folder_of_its_own_the_same_at_each_start(tmp_path: Path, folder: Path) -> None:
    other = folder_in_memory(tmp_path / "other")

    assert other is not None
    other.rmdir()
    assert folder_in_memory(tmp_path) == folder != other


def test_nobody_else_may_look_into_it(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_somebody_else_has_put_there_is_not_used(tmp_path: Path, folder: Path, kind: str) -> None:
    folder.rmdir()
    if kind == "file":
        folder.touch()
    else:
        folder.symlink_to(tmp_path)

    assert folder_in_memory(tmp_path) is None
