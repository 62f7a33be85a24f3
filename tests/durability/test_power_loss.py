"""The power goes while clients push, at any moment: everything that was acknowledged is there when the server starts again.

The whole application in this process, on a folder that forgets what was not synced. SQLite's file stays as it is, since its own
durability is seen in ``test_order_of_writes``.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecru.blobs.folder import FolderStore
from ecru.oci.digest import Digest, digest_of
from ecru.oci.media_types import OCI_MANIFEST
from tests.contract.blobs.losing import LosingFiles
from tests.durability.load import received
from tests.making import a_config, a_manifest
from tests.wire.serving import copy_folder, prepared_folder, serving

pytestmark = pytest.mark.anyio

EVERY = 7
"""The power is cut before each so many-th call."""
BOTH_DISKS = pytest.mark.parametrize("names_survive", [False, True], ids=["only-what-was-synced", "names-before-bytes"])

Cut = Callable[..., LosingFiles]


@dataclass
class Acknowledged:
    """What a client was told is done."""

    blobs: set[Digest] = field(default_factory=set)
    manifests: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return await prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[Cut]:
    """Give disks that forget, each at an empty folder."""
    with ExitStack() as stack:

        def disk(name: str, *, calls_left: int = 1_000_000, without: str = "") -> LosingFiles:
            files = LosingFiles(tmp_path / name, calls_left, lambda call: call == without)
            stack.callback(files.close)
            return files

        yield disk


async def push(client: httpx.AsyncClient, told: Acknowledged) -> None:
    """Push in each way there is until an answer is a refusal."""
    uploads = "/v2/app/blobs/uploads/"
    config, streamed, large = a_config(), b"streamed", bytes(1_500_000) + b"large"

    class RefusedError(Exception):
        pass

    async def ask(method: str, path: str, **how: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        answer = await client.request(method, path, **how)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise RefusedError
        assert answer.is_success, answer.text
        return answer

    async def opened() -> str:
        return str((await ask("POST", uploads)).headers["location"])

    async def close(location: str, content: bytes, rest: bytes) -> None:
        await ask("PUT", location, params={"digest": digest_of(content)}, content=rest)
        told.uploads.pop(location, None)
        told.blobs.add(digest_of(content))

    async def append(location: str, chunk: bytes) -> None:
        await ask("PATCH", location, content=chunk)
        told.uploads[location] = told.uploads.get(location, b"") + chunk

    try:
        await ask("POST", uploads, params={"digest": digest_of(config)}, content=config)
        told.blobs.add(digest_of(config))
        await close(await opened(), large, large)
        location = await opened()
        await append(location, streamed)
        await close(location, streamed, b"")
        location = await opened()
        await append(location, large[:1_000_000])
        await append(location, large[1_000_000:])
        await close(location, large + b"more", b"more")
        left = await opened()
        await append(left, b"left")
        manifest = a_manifest(config=config, layers=[streamed, large])
        await ask("PUT", "/v2/app/manifests/tag", content=manifest, headers={"Content-Type": OCI_MANIFEST})
        told.manifests["tag"] = manifest
        await append(left, b" open")
    except RefusedError:
        pass


async def push_on(prepared: Path, folder: Path, root: Path, files: LosingFiles) -> Acknowledged:
    """Push to a server on a disk that forgets."""
    told = Acknowledged()
    store = FolderStore(root, files=files)
    async with serving(copy_folder(prepared, folder), store=store) as server:
        await server.create_repository("app")
        async with server.http() as client:
            await push(client, told)
    await store.close()
    return told


async def lost(folder: Path, disk: Path, told: Acknowledged) -> list[str]:
    """Start again on what the disk has kept, and answer what was acknowledged and is not there."""
    found = []
    store = FolderStore(disk)
    async with serving(folder, store=store) as server, server.http() as client:
        for digest in told.blobs:
            answer = await client.get(f"/v2/app/blobs/{digest}", headers={"Range": "bytes=0-"})
            if not answer.is_success or digest_of(answer.content) != digest:
                found.append(f"blob {digest}: {answer.status_code}")
        for tag, manifest in told.manifests.items():
            if (await client.get(f"/v2/app/manifests/{tag}")).content != manifest:
                found.append(f"tag {tag}")
        for location, content in told.uploads.items():
            stands = received(await client.get(location))
            whole = content + b", and to its end"
            answer = await client.put(location, params={"digest": digest_of(whole)}, content=whole[stands:])
            if stands != len(content) or not answer.is_success:
                found.append(f"upload {location} stands at {stands} of {len(content)} and is ended with {answer.status_code}")
    await store.close()
    return found


@BOTH_DISKS
async def test_what_was_acknowledged_survives_a_power_cut_at_any_moment(
    prepared: Path, tmp_path: Path, losing: Cut, names_survive: bool
) -> None:
    whole = losing("whole")
    everything = await push_on(prepared, tmp_path / "data", tmp_path / "whole", whole)
    acknowledged = []

    for calls in range(whole.calls.index("create"), len(whole.calls) + EVERY, EVERY):
        files = losing(f"cut-{calls}", calls_left=calls)
        data = tmp_path / f"data-{calls}"
        told = await push_on(prepared, data, tmp_path / f"cut-{calls}", files)
        disk = files.after_power_cut(tmp_path / f"found-{calls}", names_survive=names_survive)
        acknowledged.append(len(told.blobs) + len(told.manifests) + len(told.uploads))

        assert await lost(data, disk, told) == [], f"the power went before call {calls}, {whole.calls[calls : calls + 1]}"

    assert acknowledged[0] == 0
    assert acknowledged == sorted(acknowledged)
    assert acknowledged[-1] == len(everything.blobs) + len(everything.manifests) + len(everything.uploads)


@BOTH_DISKS
@pytest.mark.parametrize("step", ["sync", "sync_folder"])
async def test_a_sync_left_out_is_noticed(prepared: Path, tmp_path: Path, losing: Cut, step: str, names_survive: bool) -> None:
    """This lane's own test: it must be able to fail. Where the names survive by themselves, syncing them is not missed."""
    files = losing("whole", without=step)
    told = await push_on(prepared, tmp_path / "data", tmp_path / "whole", files)

    disk = files.after_power_cut(tmp_path / "found", names_survive=names_survive)

    assert bool(await lost(tmp_path / "data", disk, told)) == (step == "sync" or not names_survive)
