"""The programs that tests talk to, found where ``make peers`` puts them."""

import os
import shutil
from pathlib import Path

import pytest

_OWN = Path(__file__).parent.parent / ".peers" / "bin"
_NAMES = {
    "aws",
    "aws-v2",
    "buildah",
    "conformance-legacy",
    "crane",
    "helm",
    "oras",
    "podman",
    "postgres",
    "regctl",
    "skopeo",
    "strace",
    "umoci",
    "versitygw",
}


def peer(name: str) -> Path:
    """Answer where the program is; of ``postgres``, the folder with all of PostgreSQL's programs.

    ``aws`` is the newest AWS CLI 1, ``aws-v2`` Debian's AWS CLI 2. Without the program the test is skipped, and fails
    where ``CI`` is set, since a lane nobody runs proves nothing.
    """
    assert name in _NAMES, f"{name} is no peer"
    if found := _find(name):
        return found
    missing = f"{name} is missing: run `make peers`"
    if os.environ.get("CI"):
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


def _find(name: str) -> Path | None:
    if name == "postgres":
        # Debian keeps the servers of several versions side by side and none of them on PATH.
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
        initdb = shutil.which("initdb", path=os.pathsep.join([*map(str, reversed(debian)), os.environ["PATH"]]))
        return Path(initdb).parent if initdb else None
    if name == "aws-v2":
        # By its place: on PATH it may be any version.
        return next((path for path in [Path("/usr/bin/aws")] if path.exists()), None)
    found = shutil.which(name, path=os.pathsep.join([str(_OWN), os.environ["PATH"]]))
    return Path(found) if found else None
