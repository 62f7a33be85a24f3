"""Where the processes of one server put their metrics, decided before ``prometheus_client`` is imported."""

import os
import shutil
from pathlib import Path
from typing import Final

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def gather_in(folder: Path) -> None:
    """Have this process and its children count in one folder, which begins empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[_VARIABLE] = str(folder)


def gathered_in() -> Path | None:
    """The folder of this server's metrics; None when this process counts for itself."""
    folder = os.environ.get(_VARIABLE)
    return Path(folder) if folder else None
