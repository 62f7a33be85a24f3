"""Starts ecru with one of the steps left out on which durability rests: ``without.py STEP serve …``.

So that the tests of this lane can be seen to fail.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ecru.blobs import folder
from ecru.blobs.files import SystemFiles
from ecru.blobs.folder import FolderStore
from ecru.cli.commands import main
from ecru.metadata import sqlite


def _nothing(*_: object) -> None:
    pass


def _settle_without_sync(_: FolderStore, path: Path, *, anew: bool = False) -> None:
    path.mkdir(exist_ok=True)


def _publish_before_sync(self: Any, rest: Sequence[bytes | memoryview]) -> None:  # noqa: ANN401 - the class is private
    with self._use(self._create) as number:
        self._files.write(number, rest)
        self._files.rename(self._beside, self._target)
        self._published = True
        self._files.sync(number)
        self._close()
        self._files.sync_folder(self._target.parent)


def _answer_before_commit(self: Any, connection: Connection) -> None:  # noqa: ANN401 - the class is private
    _run(self, connection)
    self.answer()


_run = sqlite._Write.run

# What SQLite's documents recommend beside WAL, and what loses the last commits with the power.
_IN_A_HURRY = tuple("synchronous = NORMAL" if pragma == "synchronous = FULL" else pragma for pragma in sqlite._WRITER)

STEPS: Mapping[str, tuple[object, str, object]] = {
    "sync-of-files": (SystemFiles, "sync", _nothing),
    "sync-of-folders": (SystemFiles, "sync_folder", _nothing),
    "sync-of-new-folders": (FolderStore, "_settle", _settle_without_sync),
    "sync-before-rename": (folder._Unfinished, "publish", _publish_before_sync),
    "sync-of-the-database": (sqlite, "_WRITER", _IN_A_HURRY),
    "commit-before-answer": (sqlite._Write, "run", _answer_before_commit),
}

if __name__ == "__main__":
    setattr(*STEPS[sys.argv.pop(1)])
    main()
