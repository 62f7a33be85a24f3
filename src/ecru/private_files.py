"""Files that hold secrets: nobody else may read them, and once written they survive a power cut."""

import os
import secrets
import stat
from pathlib import Path


class ReadableByOthers(Exception):
    """A file with secrets that other users of the machine can read."""


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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
