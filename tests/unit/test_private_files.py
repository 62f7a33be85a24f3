"""Files that hold secrets."""

import stat
from pathlib import Path

import pytest

from ecru.private_files import ReadableByOthers, make_private_folder, read_private, write_private


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "secret"

    write_private(file, "text")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_private(file) == "text"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, "first")

    with pytest.raises(FileExistsError):
        write_private(file, "second")

    assert read_private(file) == "first"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_can_reach_is_not_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secret"
    write_private(file, "text")
    file.chmod(mode)

    with pytest.raises(ReadableByOthers, match=f"chmod 600 {file}"):
        read_private(file)


def test_only_the_owner_can_enter_a_folder_that_is_made_with_those_above_it(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "srv" / "data")

    assert stat.S_IMODE((tmp_path / "srv" / "data").stat().st_mode) == 0o700


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)

    make_private_folder(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750
