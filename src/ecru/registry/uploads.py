"""Uploads: from bytes that arrive to a blob that is served.

How this works::

    begin ──► append ──► append ──► complete          every step may reach another worker, or come after a restart
                │           │           │
             segment     segment     last segment ──► join if there are several ──► one transaction: blob, link, no upload

Bytes are hashed in a thread while they arrive. A worker that saw all of an upload so far keeps the hash between requests;
another one reads the segments again at the end.

INVARIANT: bytes are durable before the row that names them, and the answer follows the row.

INVARIANT: whatever an upload has written is found again, by the upload's row while it is open, and from its end on by a row in
``discarded`` that the same transaction writes. A process that was killed over a body has left bytes that nobody else knows of.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeAlias
from uuid import uuid4

from ecru.blobs import layout
from ecru.blobs.hashing import RunningHash
from ecru.blobs.store import BlobStore, BlobStoreError, Location, Stored
from ecru.call import Call
from ecru.errors import (
    ApiError,
    EmptyUpload,
    InvalidLayer,
    InvalidLayerPart,
    LayerPartTooSmall,
    LayerTooLarge,
    LimitExceeded,
    PartLengthInvalid,
    UploadNotFound,
)
from ecru.metadata import blobs, repositories, uploads
from ecru.metadata.database import Transaction
from ecru.metadata.repositories import Repository
from ecru.metadata.uploads import Upload
from ecru.oci.digest import Digest, algorithm_of
from ecru.policy.arn import Registry

LONGEST_BODY: Final = timedelta(days=1)
"""By then a body that was arriving when its upload was closed has ended, so that nothing comes below its prefix any more."""

Content: TypeAlias = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Session:
    """An open upload, with the repository it belongs to."""

    repository: Repository
    upload: Upload


@dataclass(frozen=True, slots=True)
class Completed:
    """A blob that an upload became."""

    digest: Digest
    size_bytes: int
    existed: bool
    """Whether the repository had the blob already; it is the same one now, or healed by this one."""


def begin(db: Transaction, call: Call, registry: Registry, name: str) -> Session:
    """Open an upload in a repository.

    Raises:
        RepositoryNotFound: there is none of that name.
    """
    repository = repositories.get(db, registry, name, lock="add")
    upload = Upload(
        id=str(uuid4()),
        repository_id=repository.id,
        principal=call.principal.arn,
        received_bytes=0,
        segments=0,
        started_at=call.now,
        expires_at=call.now + call.deployment.upload_expiry,
    )
    uploads.create(db, upload)
    return Session(repository, upload)


def find(db: Transaction, registry: Registry, name: str, upload_id: str) -> Session:
    """Load an upload of a repository.

    Raises:
        RepositoryNotFound, UploadNotFound: it is not there.
    """
    repository = repositories.get(db, registry, name)
    upload = uploads.find(db, repository.id, upload_id)
    if upload is None:
        raise UploadNotFound(upload_id, name, registry.id)
    return Session(repository, upload)


async def append(
    call: Call,
    registry: Registry,
    name: str,
    upload_id: str,
    content: Content,
    *,
    first_byte: int | None = None,
    length: int | None = None,
    most_segments: int | None = None,
) -> Session:
    """Take the next bytes of an upload; what has arrived when the content ends is kept.

    Args:
        call: the request.
        registry: where the repository is.
        name: the repository's name.
        upload_id: the upload.
        content: the bytes.
        first_byte: where the client says that they begin; None when it does not say.
        length: how many the client says there are; None when it does not say.
        most_segments: how many parts an upload may have; None for the limit of ``/v2/``.

    Raises:
        UploadNotFound: the upload is not there (any more).
        InvalidLayerPart: the bytes do not begin where the upload stands, or another request was faster.
        PartLengthInvalid: there are more than was said.
        LayerTooLarge, LimitExceeded: the layer or its number of parts is above its limit.
    """
    began = time.monotonic()
    session = await call.deployment.database.read(find, registry, name, upload_id)
    upload, limits = session.upload, call.deployment.limits
    _require_position(session, first_byte, length)
    most = limits.segments_per_upload if most_segments is None else most_segments
    if upload.segments >= most:
        raise LimitExceeded("parts of a layer upload", most)
    running = call.deployment.hashing.resume(upload_id, upload.received_bytes, "sha256")
    segment = await _receive(call, session, content, running, length=length)
    if segment.size_bytes == 0:
        await _undo(_store(call, session), [segment.location])
        return session
    if length is not None and segment.size_bytes > length:
        await _undo(_store(call, session), [segment.location])
        raise PartLengthInvalid(*_part_values(session, first_byte, length))
    expires_at = _after(call, began).now + call.deployment.upload_expiry
    if not await call.deployment.database.write(uploads.advance, upload, segment, expires_at=expires_at):
        await _undo(_store(call, session), [segment.location])
        raise InvalidLayerPart(*_part_values(session, first_byte, length))
    received = upload.received_bytes + segment.size_bytes
    if running is not None:
        call.deployment.hashing.keep(upload_id, RunningHash(running.algorithm, received, running.hasher))
    return Session(session.repository, upload.advanced(segment.size_bytes, expires_at))


async def complete(
    call: Call,
    registry: Registry,
    name: str,
    upload_id: str,
    digest: Digest,
    content: Content | None,
    *,
    first_byte: int | None = None,
    length: int | None = None,
    smallest_part_bytes: int = 0,
    begun_here: bool = False,
) -> Completed:
    """Take the last bytes of an upload, if there are any, and make a blob of all of them.

    A digest that does not match leaves the upload as it was before the call.

    Args:
        call: the request.
        registry: where the repository is.
        name: the repository's name.
        upload_id: the upload.
        digest: what the bytes must hash to.
        content: the last bytes; None when all have arrived.
        first_byte: where the client says that the last bytes begin; None when it does not say.
        length: how many the client says there are; None when it does not say.
        smallest_part_bytes: what every part but the last must have.
        begun_here: whether this request opened the upload, so that no other one can have written for it.

    Raises:
        UploadNotFound: the upload is not there (any more).
        InvalidLayer: the bytes hash to something else.
        InvalidLayerPart: the last bytes do not begin where the upload stands, or another request was faster.
        EmptyUpload, LayerPartTooSmall: rules of the ECR API, where a smallest part is asked for.
    """
    began = time.monotonic()
    session = await call.deployment.database.read(find, registry, name, upload_id)
    _require_position(session, first_byte, length)
    store, upload = _store(call, session), session.upload
    segments = await call.deployment.database.read(uploads.list_segments, upload_id)
    _require_part_sizes(upload_id, segments, smallest_part_bytes)
    running = call.deployment.hashing.resume(upload_id, upload.received_bytes, algorithm_of(digest))
    last: list[Stored] = []
    if content is not None or not segments:
        last = [await _receive(call, session, content or _nothing(), running, length=length)]
    if segments and last and last[0].size_bytes == 0:
        await _undo(store, [last.pop().location])
    parts, made = [*segments, *last], [part.location for part in last]
    try:
        _require_length(session, last, first_byte, length)
        await _require_digest(call, store, parts, running, digest)
        location = parts[0].location
        if len(parts) > 1:
            location = layout.joined(upload_id, _nonce())
            made.append(location)
            await store.join(parts, location)
    except BaseException:
        await _undo(store, made)
        raise
    blob = Stored(location, sum(part.size_bytes for part in parts))
    try:
        existed = await call.deployment.database.write(_commit, _after(call, began), session, blob, digest, begun_here=begun_here)
    except ApiError:  # any other fault leaves it open whether a row points to the bytes: the end of the upload decides
        await _undo(store, made)
        raise
    call.deployment.hashing.forget(upload_id)
    if len(parts) > 1:
        # They would go anyway, but a layer of many gigabytes need not lie there twice until then.
        await _undo(store, [part.location for part in parts])
    return Completed(digest, blob.size_bytes, existed)


async def cancel(call: Call, registry: Registry, name: str, upload_id: str) -> None:
    """End an upload and delete what has arrived of it.

    Raises:
        RepositoryNotFound, UploadNotFound: it is not there.
    """
    store = call.deployment.stores[await call.deployment.database.write(_close, call, registry, name, upload_id)]
    with suppress(BlobStoreError):  # the collector looks again
        await store.clear(layout.prefix(upload_id))


def _close(db: Transaction, call: Call, registry: Registry, name: str, upload_id: str) -> str:
    """Close an upload that will become no blob, and answer the name of the store that its bytes are in."""
    session = find(db, registry, name, upload_id)
    if not uploads.close(db, upload_id):
        raise UploadNotFound(upload_id, name, registry.id)
    store = session.repository.store
    blobs.discard(db, store, [layout.prefix(upload_id)], due_at=call.now + LONGEST_BODY)
    return store


def _commit(db: Transaction, call: Call, session: Session, blob: Stored, digest: Digest, *, begun_here: bool) -> bool:
    """Turn an upload into a blob of its repository; answers whether the repository had it."""
    name, registry = session.repository.name, session.repository.registry
    repository = repositories.get(db, registry, name, lock="add")
    upload = uploads.find(db, repository.id, session.upload.id, lock=True)
    if upload is None:
        raise UploadNotFound(session.upload.id, name, registry.id)
    if (upload.received_bytes, upload.segments) != (session.upload.received_bytes, session.upload.segments):
        raise InvalidLayerPart(*_part_values(Session(repository, upload), session.upload.received_bytes, None))
    uploads.close(db, upload.id)
    if not begun_here:
        prefix = layout.prefix(upload.id)
        blobs.discard(db, repository.store, [prefix], due_at=call.now + LONGEST_BODY, kept=blob.location)
    existed = blobs.find(db, repository.id, digest) is not None
    blob_id = blobs.put(
        db,
        repository,
        digest=digest,
        size_bytes=blob.size_bytes,
        location=blob.location,
        verified_at=call.now,
        started_at=upload.started_at,
        reading_time=call.deployment.reading_time,
    )
    blobs.link(db, repository.id, blob_id, now=call.now, due_at=call.now + call.deployment.collection_grace)
    return existed


async def _receive(call: Call, session: Session, content: Content, running: RunningHash | None, *, length: int | None) -> Stored:
    """Write one body as a segment, hashing it if this process knows the hash of what came before."""
    room = call.deployment.limits.layer_bytes - session.upload.received_bytes
    if length is not None and length > room:
        raise LayerTooLarge(call.deployment.limits.layer_bytes)
    location = layout.segment(session.upload.id, session.upload.segments, _nonce())
    bounded = _bounded(content, room, call.deployment.limits.layer_bytes)
    passing = bounded if running is None else call.deployment.hashing.passing(bounded, [running.hasher])
    size_bytes = await _store(call, session).write(location, passing)
    return Stored(location, size_bytes)


async def _undo(store: BlobStore, locations: Sequence[Location]) -> None:
    """Delete what is needed no more; what cannot be deleted now goes with the rest of the upload."""
    with suppress(BlobStoreError):
        await store.delete(locations)


async def _bounded(content: Content, room: int, limit_bytes: int) -> Content:
    async for piece in content:
        room -= len(piece)
        if room < 0:
            raise LayerTooLarge(limit_bytes)
        yield piece


async def _nothing() -> Content:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


async def _require_digest(
    call: Call, store: BlobStore, parts: Sequence[Stored], running: RunningHash | None, digest: Digest
) -> None:
    """Hold the bytes against their digest; without a hash they are read back, in bounded memory."""
    if running is None:
        running = call.deployment.hashing.start(algorithm_of(digest))
        for part in parts:
            async for _ in call.deployment.hashing.passing(store.read(part.location), [running.hasher]):
                pass
    if running.digest != digest:
        raise InvalidLayer(digest, running.digest)


def _require_length(session: Session, last: Sequence[Stored], first_byte: int | None, length: int | None) -> None:
    if length is not None and last and last[0].size_bytes != length:
        raise PartLengthInvalid(*_part_values(session, first_byte, length))


def _after(call: Call, began: float) -> Call:
    """The call as it is when its body has arrived, to the second, which may be hours after it began: periods count from then."""
    return replace(call, now=call.now + timedelta(seconds=int(time.monotonic() - began)))


def _nonce() -> str:
    return uuid4().hex[:8]


def _store(call: Call, session: Session) -> BlobStore:
    return call.deployment.stores[session.repository.store]


def _require_position(session: Session, first_byte: int | None, length: int | None) -> None:
    if first_byte is not None and first_byte != session.upload.received_bytes:
        raise InvalidLayerPart(*_part_values(session, first_byte, length))


def _require_part_sizes(upload_id: str, segments: Sequence[Stored], smallest_part_bytes: int) -> None:
    if not smallest_part_bytes:
        return
    if not segments:
        raise EmptyUpload(upload_id)
    for number, part in enumerate(segments[:-1], 1):
        if part.size_bytes < smallest_part_bytes:
            raise LayerPartTooSmall(upload_id, number, part.size_bytes, smallest_part_bytes)


def _part_values(session: Session, first_byte: int | None, length: int | None) -> tuple[str, str, str, int, str]:
    """The values of an ``InvalidLayerPart``."""
    repository, upload = session.repository, session.upload
    begin = "the next byte" if first_byte is None else f"byte {first_byte}"
    given = f"{begin} with {'an unknown number of' if length is None else length} bytes"
    return upload.id, repository.name, repository.registry.id, upload.received_bytes, given
