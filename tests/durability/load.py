"""Clients that push, move and remove, and remember what they were told; and what must be true of a server that knew them.

A client makes one request at a time, and several of them work at once. What was in flight when the server died may have
happened or not; of everything else it is known.

``Ledger.moment`` counts what clients do: a request sent, a piece of a body sent, an answer received. The test says at which
moment the server is to be killed.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from ecru.oci.digest import Digest, digest_of
from ecru.oci.media_types import OCI_INDEX, OCI_MANIFEST
from tests.durability.deployment import REPOSITORY
from tests.making import a_config, a_manifest, an_index

CLIENTS = 8
UPLOADS = f"/v2/{REPOSITORY}/blobs/uploads/"
SIDES = ("left", "right")
NEVER = 1 << 62
_LEFT_OPEN, _CANCELLED = 0.2, 0.2
_SIZES = (2, 700, 5_000, 60_000, 400_000, 1_500_000)
_TIMEOUT = httpx.Timeout(60)


# --- what is remembered ---------------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """One attempt to have a tag point to an image, or to remove it."""

    value: Digest | None
    began: int
    ended: int = NEVER
    acknowledged: bool = False


@dataclass
class History:
    """What was attempted with one tag."""

    attempts: list[Attempt] = field(default_factory=lambda: [Attempt(None, -1, 0, acknowledged=True)])

    def possible(self) -> set[Digest | None]:
        """Where the tag may point now: what any attempt set that no acknowledged one has certainly followed."""
        latest = max(attempt.began for attempt in self.attempts if attempt.acknowledged)
        return {attempt.value for attempt in self.attempts if attempt.ended > latest}

    def settle(self, value: Digest | None) -> None:
        """Take what was found for what is."""
        self.attempts = [Attempt(value, -1, 0, acknowledged=True)]


@dataclass
class Thing:
    """A blob or an image that somebody pushed."""

    acknowledged: bool = False
    checked: bool = False
    manifest: bytes = b""
    blobs: frozenset[Digest] = frozenset()
    images: frozenset[Digest] = frozenset()
    """Of an image, its manifest and what it cannot be without."""


@dataclass
class Upload:
    """An upload that is open, as far as its client knows."""

    content: bytes
    acknowledged_bytes: int = 0
    sent_bytes: int = 0
    closing: bool = False
    """Whether a request that ends it was sent."""
    becomes: Digest | None = None
    """The blob that such a request makes of it."""


@dataclass
class Ledger:
    """What all clients did and were told."""

    blobs: dict[Digest, Thing] = field(default_factory=dict)
    images: dict[Digest, Thing] = field(default_factory=dict)
    tags: dict[str, History] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    moment: int = 0
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    """Answers that say neither yes nor no, which a running server gives when its database is away."""
    reached: Callable[[int], None] = lambda _: None

    def tick(self) -> None:
        """Something happened."""
        self.moment += 1
        self.reached(self.moment)

    def cut(self) -> None:
        """The server is dead: nothing that was in flight is any more."""
        self.moment += 1
        for history in self.tags.values():
            for attempt in history.attempts:
                attempt.ended = min(attempt.ended, self.moment)


# --- those who push -------------------------------------------------------------------------------------------------


class RefusedError(Exception):
    """The server could not say whether it was done."""


class Client:
    """One client, with tags of its own beside one that all of them move."""

    def __init__(self, number: int, url: str, authorization: str, ledger: Ledger, seed: str) -> None:
        self._number = number
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be guessed
        self._http = httpx.AsyncClient(base_url=url, headers={"Authorization": authorization}, timeout=_TIMEOUT, trust_env=False)

    async def work(self) -> None:
        """Push until the server is gone."""
        everything: Sequence[tuple[int, Callable[[], Awaitable[object]]]] = (
            (6, self._push_image),
            (3, self._push_blob),
            (2, self._push_blob_again),
            (2, self._remove_tag),
            (2, self._leave_an_upload),
            (1, self._cancel_an_upload),
            (1, self._push_index),
        )
        weights, doings = zip(*everything, strict=True)
        async with self._http:
            while True:
                try:
                    await self._random.choices(doings, weights)[0]()
                except RefusedError:
                    continue
                except httpx.TransportError:
                    return  # the server is gone

    # --- blobs

    async def _push_blob(self) -> bytes:
        content = self._random.randbytes(self._random.choice(_SIZES))
        await self._push(content)
        return content

    async def _push_blob_again(self) -> None:
        """Push what several clients may be pushing at this moment, or have pushed before the last death."""
        same = random.Random(self._random.randrange(4))  # noqa: S311
        await self._push(same.randbytes(30_000))

    async def _push(self, content: bytes) -> None:
        digest = digest_of(content)
        thing = self._ledger.blobs.setdefault(digest, Thing())
        thing.checked = False
        ways = (self._in_one_post, self._in_post_and_put, self._in_chunks, self._in_a_stream)
        await self._random.choice(ways)(content, digest)
        thing.acknowledged = True

    async def _in_one_post(self, content: bytes, digest: Digest) -> None:
        await self._ask(201, "POST", UPLOADS, params={"digest": digest}, content=self._sending(content))

    async def _in_post_and_put(self, content: bytes, digest: Digest) -> None:
        location = await self._open(content)
        await self._close(location, digest, content)

    async def _in_chunks(self, content: bytes, digest: Digest) -> None:
        location = await self._open(content)
        rest = await self._append_chunks(location, content)
        await self._close(location, digest, rest)

    async def _in_a_stream(self, content: bytes, digest: Digest) -> None:
        location = await self._open(content)
        await self._append(location, 0, content, ranged=False)
        await self._close(location, digest, b"")

    async def _leave_an_upload(self) -> None:
        content = self._random.randbytes(self._random.choice(_SIZES[1:]))
        location = await self._open(content)
        await self._append_chunks(location, content)

    async def _cancel_an_upload(self) -> None:
        content = self._random.randbytes(5_000)
        location = await self._open(content)
        await self._append_chunks(location, content)
        self._ledger.uploads[location].closing = True
        await self._ask(204, "DELETE", location)
        del self._ledger.uploads[location]

    async def _open(self, content: bytes) -> str:
        answer = await self._ask(202, "POST", UPLOADS)
        location = str(answer.headers["location"])
        self._ledger.uploads[location] = Upload(content)
        return location

    async def _append_chunks(self, location: str, content: bytes) -> bytes:
        """Append some of the content, and answer the rest."""
        at = 0
        for _ in range(self._random.randint(1, 3)):
            size = self._random.randint(2, max(2, len(content) // 3))
            if at == len(content):
                break
            await self._append(location, at, content[at : at + size], ranged=True)
            at = min(at + size, len(content))
        return content[at:]

    async def _append(self, location: str, at: int, chunk: bytes, *, ranged: bool) -> None:
        upload = self._ledger.uploads[location]
        upload.sent_bytes = at + len(chunk)
        headers = {"Content-Range": f"{at}-{at + len(chunk) - 1}"} if ranged and chunk else {}
        answer = await self._ask(202, "PATCH", location, headers=headers, content=self._sending(chunk))
        upload.acknowledged_bytes = at + len(chunk)
        assert received(answer) == upload.acknowledged_bytes

    async def _close(self, location: str, digest: Digest, rest: bytes) -> None:
        upload = self._ledger.uploads[location]
        upload.closing, upload.becomes = True, digest
        content = self._sending(rest) if rest else None
        await self._ask(201, "PUT", location, params={"digest": digest}, content=content)
        del self._ledger.uploads[location]

    # --- images

    async def _push_image(self) -> None:
        layers = [await self._push_blob() for _ in range(self._random.randint(1, 2))]
        config = a_config(author=f"{self._number} {self._random.random()}")
        await self._push(config)
        manifest = a_manifest(config=config, layers=layers)
        await self._push_manifest(OCI_MANIFEST, Thing(manifest=manifest, blobs=frozenset(map(digest_of, (config, *layers)))))

    async def _push_index(self) -> None:
        known = [(digest, image) for digest, image in self._ledger.images.items() if image.acknowledged and image.blobs]
        if known:
            chosen = self._random.sample(known, min(2, len(known)))
            content = an_index(
                *(image.manifest for _, image in chosen), annotations={"of": f"{self._number} {self._random.random()}"}
            )
            await self._push_manifest(OCI_INDEX, Thing(manifest=content, images=frozenset(digest for digest, _ in chosen)))

    async def _push_manifest(self, media_type: str, image: Thing) -> None:
        """Push by a tag of one's own, by the tag that all share, or by digest with two tags that always move together."""
        digest = digest_of(image.manifest)
        self._ledger.images[digest] = image
        own = f"{self._number}-{self._random.randrange(3)}"
        both = [f"{self._number}-{side}" for side in SIDES]
        reference, tags = self._random.choice([(own, [own]), ("latest", ["latest"]), (str(digest), both)])
        attempts = [self._begin(tag, digest) for tag in tags]
        path, query = f"/v2/{REPOSITORY}/manifests/{reference}", {"tag": tags} if tags == both else {}
        with self._recorded(attempts):
            await self._ask(201, "PUT", path, params=query, content=image.manifest, headers={"Content-Type": media_type})
        image.acknowledged = True

    async def _remove_tag(self) -> None:
        tag = f"{self._number}-{self._random.randrange(3)}"
        history = self._ledger.tags.get(tag)
        if history is None or None in history.possible():
            return
        with self._recorded([self._begin(tag, None)]):
            await self._ask(202, "DELETE", f"/v2/{REPOSITORY}/manifests/{tag}")

    def _begin(self, tag: str, value: Digest | None) -> Attempt:
        attempt = Attempt(value, self._ledger.moment)
        self._ledger.tags.setdefault(tag, History()).attempts.append(attempt)
        return attempt

    @contextmanager
    def _recorded(self, attempts: Sequence[Attempt]) -> Iterator[None]:
        """Remember how attempts went; without an answer, nobody knows until the server is dead."""
        try:
            yield
        except RefusedError:
            for attempt in attempts:
                attempt.ended = self._ledger.moment
            raise
        for attempt in attempts:
            attempt.ended, attempt.acknowledged = self._ledger.moment, True

    # --- requests

    async def _ask(
        self,
        expected: int,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        self._ledger.tick()
        answer = await self._http.request(method, path, params=params, headers=headers, content=content)
        if answer.status_code != expected:
            self._ledger.refused.append(f"{answer.status_code} to {method} {path}: {answer.text}")
            raise RefusedError
        self._ledger.acknowledged += 1
        self._ledger.tick()
        return answer

    async def _sending(self, content: bytes) -> AsyncIterator[bytes]:
        step = self._random.choice((1_000, 20_000, 200_000))
        for at in range(0, len(content), step):
            yield content[at : at + step]
            self._ledger.tick()


def received(answer: httpx.Response) -> int:
    """How many bytes an upload has, as its ``Range`` says; one byte and none read the same, and nobody here sends only one."""
    last = int(answer.headers["range"].removeprefix("0-"))
    return last + 1 if last else 0


# --- what must be true ----------------------------------------------------------------------------------------------


class Inspector:
    """Holds a server that was started again against what its clients know."""

    def __init__(self, url: str, authorization: str, ledger: Ledger, seed: str) -> None:
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311
        self._http = httpx.AsyncClient(base_url=url, headers={"Authorization": authorization}, timeout=_TIMEOUT, trust_env=False)
        self._at_once = asyncio.Semaphore(CLIENTS)
        self.faults: list[str] = []

    async def look(self, *, at_everything: bool = False) -> Sequence[str]:
        """Look at all that changed since the last time, and answer what is wrong; what was found is settled from then on."""
        if at_everything:
            for thing in (*self._ledger.blobs.values(), *self._ledger.images.values()):
                thing.checked = False
        async with self._http:
            # Uploads first: those that can be resumed become blobs.
            await self._each(self._check_upload, list(self._ledger.uploads))
            await self._each(self._check_blob, [digest for digest, blob in self._ledger.blobs.items() if not blob.checked])
            await self._each(self._check_image, [digest for digest, image in self._ledger.images.items() if not image.checked])
            await self._each(self._check_tag, list(self._ledger.tags))
            await self._check_list_of_tags()
        self._check_pairs()
        return self.faults

    async def _each(self, check: Callable[[str], Awaitable[None]], names: Sequence[str]) -> None:
        async def one(name: str) -> None:
            async with self._at_once:
                await check(name)

        await asyncio.gather(*map(one, names))

    async def _check_blob(self, digest: str) -> None:
        blob = self._ledger.blobs[Digest(digest)]
        path = f"/v2/{REPOSITORY}/blobs/{digest}"
        told, given = await self._http.head(path), await self._http.get(path)
        self._expect_whole("blob", digest, blob, given)
        if told.status_code != given.status_code or (told.is_success and told.headers["content-length"] != str(len(given.content))):
            self.faults.append(f"HEAD says otherwise than GET of blob {digest}")

    async def _check_image(self, digest: str) -> None:
        image = self._ledger.images[Digest(digest)]
        given = await self._http.get(f"/v2/{REPOSITORY}/manifests/{digest}")
        self._expect_whole("image", digest, image, given)
        if given.is_success:
            paths = [f"blobs/{blob}" for blob in image.blobs] + [f"manifests/{child}" for child in image.images]
            for path in paths:
                if not (await self._http.head(f"/v2/{REPOSITORY}/{path}")).is_success:
                    self.faults.append(f"image {digest} is there and what it needs is not: {path}")

    def _expect_whole(self, kind: str, digest: str, thing: Thing, given: httpx.Response) -> None:
        if given.is_success:
            if digest_of(given.content) != digest:
                self.faults.append(f"{kind} {digest} has other bytes")
            # Who has read it may build on it, whether or not its push was answered.
            thing.acknowledged = True
        elif given.status_code != httpx.codes.NOT_FOUND or thing.acknowledged:
            self.faults.append(f"{kind} {digest}, acknowledged: {thing.acknowledged}, is answered {given.status_code}")
        thing.checked = True

    async def _check_tag(self, tag: str) -> None:
        history = self._ledger.tags[tag]
        given = await self._http.get(f"/v2/{REPOSITORY}/manifests/{tag}")
        found = digest_of(given.content) if given.is_success else None
        if found not in history.possible() or given.status_code not in {httpx.codes.OK, httpx.codes.NOT_FOUND}:
            self.faults.append(f"tag {tag} is answered {given.status_code} with {found} and may be one of {history.possible()}")
        history.settle(found)

    async def _check_list_of_tags(self) -> None:
        listed = (await self._http.get(f"/v2/{REPOSITORY}/tags/list")).json()["tags"]
        known = sorted(tag for tag, history in self._ledger.tags.items() if None not in history.possible())
        if listed != known:
            self.faults.append(f"the list has the tags {listed}, and those that answer are {known}")

    def _check_pairs(self) -> None:
        for number in range(CLIENTS):
            left, right = (self._ledger.tags.get(f"{number}-{side}", History()).possible() for side in SIDES)
            if left != right:
                self.faults.append(f"of a push with two tags one was moved: {left}, {right}")

    async def _check_upload(self, location: str) -> None:
        """Look where an upload stands, and bring it to its end: most of the time as a blob."""
        upload = self._ledger.uploads[location]
        status = await self._http.get(location)
        if status.status_code == httpx.codes.NOT_FOUND and upload.closing:
            if upload.becomes is not None:  # in the same step
                self._expect_blob(upload.becomes)
            del self._ledger.uploads[location]
            return
        if status.status_code != httpx.codes.NO_CONTENT:
            self.faults.append(f"an open upload is answered {status.status_code}: {upload}")
            return
        stands = received(status)
        if not upload.acknowledged_bytes <= stands <= upload.sent_bytes:
            self.faults.append(f"an upload stands at {stands}: {upload.acknowledged_bytes} acknowledged, {upload.sent_bytes} sent")
        ending = self._random.random()
        if ending < _LEFT_OPEN:
            upload.acknowledged_bytes = upload.sent_bytes = stands
            upload.closing, upload.becomes = False, None
            return
        if ending < _LEFT_OPEN + _CANCELLED:
            answer = await self._http.delete(location)
        else:
            digest = digest_of(upload.content)
            answer = await self._http.put(location, params={"digest": digest}, content=upload.content[stands:])
            self._expect_blob(digest)
        if not answer.is_success:
            self.faults.append(f"an upload that stands at {stands} could not be ended: {answer.status_code} {answer.text}")
        del self._ledger.uploads[location]

    def _expect_blob(self, digest: Digest) -> None:
        blob = self._ledger.blobs.setdefault(digest, Thing())
        blob.acknowledged, blob.checked = True, False
