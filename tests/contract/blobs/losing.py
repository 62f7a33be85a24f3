"""A disk that can lose its power: what was not synced is gone, or, worse, only the names are there.

``kill -9`` cannot show a missing fsync, since the kernel keeps what the process wrote. So here the calls go to a real folder, and
beside it is remembered what each fsync made durable: of a file its bytes, of a folder its names. After a power cut one of two
disks is found: one on which only what was synced ever happened, and one on which the kernel had written the names by itself
and the bytes not yet.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import override

from ecru.blobs.files import Files, SystemFiles


class PowerCutError(OSError):
    """The power is gone: what was called did not happen, and nothing does any more."""


class LosingFiles(Files):
    """Remembers what would survive; cuts the power instead of making the call after ``calls_left``."""

    def __init__(self, root: Path, calls_left: int = 1_000_000, without: Callable[[str], bool] = lambda _: False) -> None:
        self.calls: list[str] = []
        self._without = without
        self._calls_left = calls_left
        self._system = SystemFiles()
        self._root = root
        self._durable_bytes: dict[int, bytes] = {}
        self._durable_names: dict[Path, dict[str, int | None]] = {}
        self._open: dict[int, Path] = {}
        # A number of a deleted file must not be given to another, which would inherit its bytes here.
        self._held: list[int] = []

    @override
    def create(self, path: Path) -> int:
        self._called("create")
        number = self._system.create(path)
        self._held.append(os.dup(number))
        self._open[number] = path
        return number

    @override
    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> None:
        self._called("write")
        self._system.write(file, buffers)

    @override
    def copy(self, source: int, target: int, offset: int, size_bytes: int) -> int:
        self._called("copy")
        return self._system.copy(source, target, offset, size_bytes)

    @override
    def sync(self, file: int) -> None:
        self._called("sync")
        if not self._without("sync"):
            self._durable_bytes[os.fstat(file).st_ino] = self._open[file].read_bytes()

    @override
    def rename(self, old: Path, new: Path) -> None:
        self._called("rename")
        self._system.rename(old, new)

    @override
    def delete(self, path: Path) -> None:
        self._called("delete")
        self._system.delete(path)

    @override
    def make_folder(self, path: Path) -> None:
        self._called("make_folder")
        self._system.make_folder(path)

    @override
    def sync_folder(self, path: Path) -> None:
        self._called("sync_folder")
        if not self._without("sync_folder"):
            self._durable_names[path] = _names(path)

    def after_power_cut(self, disk: Path, *, names_survive: bool) -> Path:
        """Make the disk as it is found, with the store's root in it."""
        root = disk / "root"
        root.mkdir(parents=True)
        self._restore(self._root, root, names_survive=names_survive)
        return root

    def close(self) -> None:
        """Let go of the files."""
        for number in self._held:
            os.close(number)

    def _restore(self, live: Path, found: Path, *, names_survive: bool) -> None:
        names = _names(live) if names_survive else self._durable_names.get(live, {})
        for name, inode in names.items():
            if inode is None:
                (found / name).mkdir()
                self._restore(live / name, found / name, names_survive=names_survive)
            else:
                (found / name).write_bytes(self._durable_bytes.get(inode, b""))

    def _called(self, name: str) -> None:
        if self._calls_left == 0:
            raise PowerCutError(f"before {name}")
        self._calls_left -= 1
        self.calls.append(name)


def _names(folder: Path) -> dict[str, int | None]:
    """Answer the names in a folder with the number of their file, None for a folder."""
    if not folder.exists():
        return {}
    return {path.name: None if path.is_dir() else path.stat().st_ino for path in folder.iterdir()}
