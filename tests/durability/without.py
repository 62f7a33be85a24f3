"""Starts ecru with one of the steps left out on which durability rests: ``without.py STEP serve …``.

So that the tests of this lane can be seen to fail.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecru.blobs import folder
from ecru.blobs.files import SystemFiles
from ecru.cli.commands import main
from ecru.metadata import sqlite


def _no_sync_of_files() -> None:
    SystemFiles.sync = _nothing  # type: ignore[method-assign]


def _no_sync_of_folders() -> None:
    SystemFiles.sync_folder = _nothing  # type: ignore[method-assign]


def _no_sync_of_new_folders() -> None:
    def settle(self: folder.FolderStore, path: Path, *, anew: bool = False) -> None:  # noqa: ARG001 - as the original
        path.mkdir(exist_ok=True)

    folder.FolderStore._settle = settle  # type: ignore[method-assign]


def _sync_after_rename() -> None:
    def publish(self: Any, rest: Sequence[bytes | memoryview]) -> None:  # noqa: ANN401 - the class is private
        with self._use(self._create) as number:
            self._files.write(number, rest)
            self._files.rename(self._beside, self._target)
            self._published = True
            self._files.sync(number)
            self._close()
            self._files.sync_folder(self._target.parent)

    folder._Unfinished.publish = publish  # type: ignore[method-assign]


def _database_in_a_hurry() -> None:
    # NORMAL is what SQLite's documents recommend beside WAL, and loses the last commits with the power.
    sqlite._WRITER = tuple(  # type: ignore[misc]
        "synchronous = NORMAL" if pragma.startswith("synchronous") else pragma for pragma in sqlite._WRITER
    )


def _nothing(*_: object) -> None:
    pass


STEPS: Mapping[str, Callable[[], None]] = {
    "sync-of-files": _no_sync_of_files,
    "sync-of-folders": _no_sync_of_folders,
    "sync-of-new-folders": _no_sync_of_new_folders,
    "sync-before-rename": _sync_after_rename,
    "sync-of-the-database": _database_in_a_hurry,
}

if __name__ == "__main__":
    STEPS[sys.argv.pop(1)]()
    main()
