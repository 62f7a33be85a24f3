"""The stores that the contract holds for."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from ecru.blobs.memory import MemoryStore
from ecru.blobs.opening import Keys, open_blobs
from ecru.blobs.store import BlobStore
from tests.servers import Bucket


@pytest.fixture(params=["memory", "folder", "objects"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], BlobStore]:
    """Open each implementation in turn, at the same empty place whenever it is called."""
    match request.param:
        case "memory":
            only = MemoryStore()
            return lambda: only
        case "folder":
            return lambda: open_blobs(f"file://{tmp_path}/blobs")
        case _:
            bucket: Bucket = request.getfixturevalue("s3_bucket")
            return lambda: open_blobs(bucket.url(), keys=Keys(bucket.access_key_id, bucket.secret_access_key))


@pytest.fixture
async def store(open_store: Callable[[], BlobStore]) -> AsyncIterator[BlobStore]:
    """Every implementation in turn, empty."""
    opened = open_store()
    yield opened
    await opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this root may not mount a small disk")
    yield disk
    # Lazily: what a failed test still holds open must not keep the disk in the way of the next ones.
    subprocess.run(["umount", "--lazy", disk], check=True)
