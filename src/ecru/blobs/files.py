"""The system calls on which the folder store's promise rests, in one place so that a test can lie below them."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from typing_extensions import override

if sys.platform == "darwin":
    import fcntl

_COPY_STEP_BYTES = 1024 * 1024
_IOV_MAX = 1024
# The kernel or the file system cannot copy by itself, or not between these two files.
_CANNOT_COPY = frozenset({errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


class Files(Protocol):
    """What changes a disk. All of it blocks and raises OSError."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; what exists already is refused."""
        ...

    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> None:
        """Append the buffers, whole."""
        ...

    def copy(self, source: int, target: int, offset: int, size_bytes: int) -> int:
        """Append a part of the source, in the kernel if it can; answer less than asked for only at the source's end."""
        ...

    def sync(self, file: int) -> None:
        """Return when the file's bytes and size survive a power cut; not its name."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Give the file its other name in one step, in place of what had it."""
        ...

    def delete(self, path: Path) -> None:
        """Take the name away; a missing one raises FileNotFoundError."""
        ...

    def make_folder(self, path: Path) -> None:
        """Make the folder unless it is there."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Return when the names in the folder, and those gone from it, survive a power cut."""
        ...


class SystemFiles(Files):
    """The operating system's own."""

    @override
    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    @override
    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> None:
        left = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        while left:
            written = os.writev(file, left[:_IOV_MAX])
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:
                left[0] = left[0][written:]

    @override
    def copy(self, source: int, target: int, offset: int, size_bytes: int) -> int:
        copied = 0
        try:
            # macOS has no such call, and a few file systems answer 0 where there is something: what is left is read.
            while copied < size_bytes and hasattr(os, "copy_file_range"):
                step = os.copy_file_range(source, target, size_bytes - copied, offset + copied)
                if step == 0:
                    break
                copied += step
        except OSError as refused:
            if refused.errno not in _CANNOT_COPY:
                raise
        while copied < size_bytes:
            piece = os.pread(source, min(_COPY_STEP_BYTES, size_bytes - copied), offset + copied)
            if not piece:
                break
            self.write(target, [piece])
            copied += len(piece)
        return copied

    @override
    def sync(self, file: int) -> None:
        _sync(file)

    @override
    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    @override
    def delete(self, path: Path) -> None:
        path.unlink()

    @override
    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)

    @override
    def sync_folder(self, path: Path) -> None:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync(folder)
        finally:
            os.close(folder)


def _sync(number: int) -> None:
    if sys.platform == "darwin":
        # fsync(2) on macOS leaves the bytes in the drive's cache, and says so.
        fcntl.fcntl(number, fcntl.F_FULLFSYNC)
    else:
        os.fsync(number)
