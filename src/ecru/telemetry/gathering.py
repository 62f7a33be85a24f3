"""Where the processes of one server put their metrics, decided before ``prometheus_client`` is imported."""

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what we make there is looked at before it is used


def folder_in_memory(data: Path) -> Path | None:
    """Make a folder for the server with this data folder, in memory; None where the machine has no such place.

    The values lie in mapped files with holes. Who writes into a hole when the disk is full is killed (SIGBUS), so that on the disk
    of the data a full disk would end the workers one by one. The name is the same at each start: what a killed server leaves is
    found by the next one.
    """
    name = hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]
    folder = _MEMORY / f"ecru-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat(follow_symlinks=False)
    except OSError:
        return None
    # Everybody may make names there.
    return folder if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() else None


def gather_in(folder: Path) -> None:
    """Have this process and its children count in one folder, which begins empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[_VARIABLE] = str(folder)


def stop_gathering() -> None:
    """Delete the folder; nobody counts any more."""
    if folder := gathered_in():
        shutil.rmtree(folder, ignore_errors=True)


def gathered_in() -> Path | None:
    """The folder of this server's metrics; None when this process counts for itself."""
    folder = os.environ.get(_VARIABLE)
    return Path(folder) if folder else None
