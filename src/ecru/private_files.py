"""Files that hold secrets, and their folder: nobody else may read them, and once made they survive a power cut."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


class ReadableByOthers(Exception):
    """A file with secrets that other users of the machine can read."""


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, and those above it; their names are durable when this returns.

    One that is there stays as it is.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)
    if not missing:
        # It may be of a start that was killed before it came to this. A parent that may not be opened was not made by us.
        with suppress(PermissionError):
            _sync_folder(path.parent)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; durable when this returns.

    Raises:
        FileExistsError: the file is there; it stays as it is.
    """
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link does not replace what somebody else has written meanwhile.
        path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read_private(path: Path) -> str:
    """Read a file that only its owner can read.

    Raises:
        FileNotFoundError: there is none.
        ReadableByOthers: others can read it too, so that its secrets may be known.
    """
    with path.open(encoding="utf-8") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ReadableByOthers(f"{path} can be read by others (mode {mode:04o}): see who may have, then run: chmod 600 {path}")
        return file.read()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
