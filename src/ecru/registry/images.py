"""Images of a repository: pushed, pulled and deleted, whichever door they come through."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Concatenate, ParamSpec, TypeVar

from ecru.blobs.store import BlobStoreError
from ecru.call import Call
from ecru.errors import (
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageReferencedByIndex,
    ImageTagAlreadyExists,
    InvalidManifestSyntax,
    LayersNotFound,
    LimitExceeded,
    ManifestTooLarge,
    ReferencedImagesNotFound,
    UnsupportedManifestType,
)
from ecru.metadata import blobs, images, repositories
from ecru.metadata.database import Transaction
from ecru.metadata.images import Image, NewImage, StoredManifest
from ecru.metadata.repositories import Repository
from ecru.oci.digest import Digest, algorithm_of, digest_of
from ecru.oci.manifest import (
    MANIFEST_SIZE_LIMIT,
    InvalidManifest,
    Manifest,
    UnsupportedManifest,
    parse_config_labels,
    parse_manifest,
)
from ecru.oci.media_types import CONFIG_TYPES
from ecru.oci.names import Tag
from ecru.policy.arn import Registry
from ecru.rules.labels import select_indexed
from ecru.rules.mutability import is_protected

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CONFIG_LIMIT_BYTES = 1024 * 1024
"""A config above this size is stored like any other; its labels are not indexed."""
_INLINE_BYTES = 64 * 1024
"""Up to this size a document is read in less time than it costs to change the thread; one of 4 MiB can take a second."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push led to."""

    digest: Digest
    media_type: str
    subject: str | None
    changed: bool
    """False when the image and all its tags were there exactly so."""
    warning: str | None = None
    """What the client should be told though the push succeeded."""


async def push(
    call: Call,
    registry: Registry,
    name: str,
    content: bytes,
    declared_type: str | None,
    *,
    tags: Sequence[Tag] = (),
    digest: Digest | None = None,
) -> Pushed:
    """Store a manifest, byte for byte, and point tags to it; all of it or nothing.

    Args:
        call: the request.
        registry: where the repository is.
        name: the repository's name.
        content: the manifest.
        declared_type: its media type as the client says; None when it does not say.
        tags: the tags to set; none leaves the image reachable by digest only.
        digest: what the content must hash to, and the algorithm it is stored under; None for sha256.

    Raises:
        ManifestTooLarge, InvalidManifestSyntax, UnsupportedManifestType, ImageDigestDoesNotMatch: the content is refused.
        RepositoryNotFound: there is none of that name.
        LayersNotFound, ReferencedImagesNotFound: something it needs is not in the repository.
        ImageTagAlreadyExists: a tag is protected and points to another image.
        LimitExceeded: the repository or the image has all the images or tags it may have.
    """
    if len(content) > MANIFEST_SIZE_LIMIT:
        raise ManifestTooLarge(MANIFEST_SIZE_LIMIT)
    computed = await _apart(digest_of, content, "sha256" if digest is None else algorithm_of(digest))
    if digest is not None and digest != computed:
        raise ImageDigestDoesNotMatch(digest, computed)
    manifest = await _apart(_parse, content, declared_type)
    labels, left_out = select_indexed(manifest.annotations, await _read_labels(call, registry, name, manifest))
    new = NewImage(
        digest=computed,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        config_media_type=manifest.config_media_type,
        subject_digest=None if manifest.subject is None else manifest.subject.digest,
        annotations=manifest.annotations,
        labels=labels,
        size_bytes=manifest.size_bytes_of_content,
        manifest=content,
    )
    pushed = await call.deployment.database.write(_put, call, registry, name, manifest, new, sorted(set(tags)))
    if left_out:
        text = f"{left_out} annotations or labels are too long or too many to find this image by; they are stored with it"
        return replace(pushed, warning=text)
    return pushed


async def _apart(read: Callable[Concatenate[bytes, _P], _T], content: bytes, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Read a document; a large one in a thread, since others wait."""
    if len(content) <= _INLINE_BYTES:
        return read(content, *args, **kwargs)
    return await asyncio.to_thread(read, content, *args, **kwargs)


def _parse(content: bytes, declared_type: str | None) -> Manifest:
    try:
        return parse_manifest(content, declared_type)
    except UnsupportedManifest as fault:
        raise UnsupportedManifestType(str(fault)) from None
    except InvalidManifest as fault:
        raise InvalidManifestSyntax(str(fault)) from None


async def _read_labels(call: Call, registry: Registry, name: str, manifest: Manifest) -> Mapping[str, str]:
    """The labels in the config of an image, for the index; empty where there are none to be had."""
    config = manifest.config
    if config is None or config.media_type not in CONFIG_TYPES or config.size > _CONFIG_LIMIT_BYTES:
        return {}

    def find(db: Transaction) -> tuple[Repository, blobs.Blob | None]:
        repository = repositories.get(db, registry, name)
        return repository, blobs.find(db, repository.id, config.digest)

    repository, blob = await call.deployment.database.read(find)
    if blob is None or blob.size_bytes > _CONFIG_LIMIT_BYTES:
        return {}
    try:
        pieces = [piece async for piece in call.deployment.stores[repository.store].read(blob.location)]
    except BlobStoreError:
        return {}  # the push is no worse for it; a pull will say what is wrong with the blob
    return await _apart(parse_config_labels, b"".join(pieces))


def _put(
    db: Transaction, call: Call, registry: Registry, name: str, manifest: Manifest, new: NewImage, tags: Sequence[Tag]
) -> Pushed:
    repository = repositories.get(db, registry, name, lock="change")
    existing = images.find(db, repository.id, new.digest, lock=True)
    image_id = _create(db, call, repository, manifest, new) if existing is None else existing.id
    moved = [_set_tag(db, call, repository, each, image_id, new.digest) for each in tags]
    most = call.deployment.limits.tags_per_image
    if any(moved) and images.count_tags(db, image_id) > most:
        raise LimitExceeded("tags per image", most, f" by the image '{new.digest}'")
    return Pushed(new.digest, new.media_type, new.subject_digest, changed=existing is None or any(moved))


def _create(db: Transaction, call: Call, repository: Repository, manifest: Manifest, new: NewImage) -> int:
    registry_id = repository.registry.id
    known = blobs.find_all(db, repository.id, manifest.needed_blobs, lock=True)
    if missing := [digest for digest in manifest.needed_blobs if digest not in known]:
        raise LayersNotFound(missing, repository.name, registry_id)
    children = images.find_all(db, repository.id, manifest.needed_images, lock=True)
    if missing := [digest for digest in manifest.needed_images if digest not in children]:
        raise ReferencedImagesNotFound(missing, repository.name, registry_id)
    most = call.deployment.limits.images_per_repository
    if repository.images >= most:
        raise LimitExceeded("images per repository", most, f" in the repository '{repository.name}'")
    if manifest.is_index:
        new = new.with_size(max((child.size_bytes for child in children.values()), default=0))
    blob_ids = [blob.id for blob in known.values()]
    child_ids = [child.id for child in children.values()]
    image_id = images.create(db, repository.id, new, blob_ids=blob_ids, child_ids=child_ids, now=call.now)
    parts = [*([] if manifest.config is None else [manifest.config]), *manifest.layers]
    named = {known[part.digest].id: part.media_type for part in parts if part.digest in known}
    blobs.set_media_types(db, repository.id, named)
    return image_id


def _set_tag(db: Transaction, call: Call, repository: Repository, name: Tag, image_id: int, digest: Digest) -> bool:
    """Point a tag to an image and keep the move; answers whether it pointed elsewhere before."""
    holder = images.claim_tag(db, repository.id, name, image_id, now=call.now)
    if holder is not None:
        if holder.id == image_id:
            return False
        if is_protected(repository.mutability, repository.exclusion_filters, name):
            raise ImageTagAlreadyExists(name, repository.name)
        images.move_tag(db, repository.id, name, image_id, now=call.now)
    images.record_move(
        db,
        repository.id,
        name,
        digest=digest,
        previous=None if holder is None else holder.digest,
        by=call.principal.arn,
        now=call.now,
    )
    return True


def find_manifest(
    db: Transaction, registry: Registry, name: str, *, digest: Digest | None = None, tag: Tag | None = None
) -> StoredManifest:
    """Load a manifest by digest or by tag.

    Raises:
        RepositoryNotFound, ImageNotFound: it is not there.
    """
    repository = repositories.get(db, registry, name)
    found = images.find_manifest(db, repository.id, digest=digest, tag_name=tag)
    if found is None:
        raise ImageNotFound(name, registry.id, digest=digest or "null", tag=tag or "null")
    return found


def remove_tag(db: Transaction, call: Call, repository: Repository, name: str, image: Image) -> None:
    """Remove a tag of an image and keep the move; the image stays."""
    images.remove_tag(db, repository.id, name)
    images.record_move(db, repository.id, name, digest=None, previous=image.digest, by=call.principal.arn, now=call.now)


def delete(db: Transaction, call: Call, repository: Repository, image: Image) -> list[Tag]:
    """Delete an image with all its tags, and answer these; a tombstone stays until the time for undoing is over.

    The repository must be locked for change.

    Raises:
        ImageReferencedByIndex: a living index lists it.
    """
    if parents := images.list_parents(db, image.id):
        raise ImageReferencedByIndex(parents)
    tags = images.list_tags_of(db, [image.id]).get(image.id, [])
    for tag in tags:
        remove_tag(db, call, repository, tag, image)
    purge_at = call.now + call.deployment.deleted_image_retention
    images.bury(db, repository.id, image.id, by=call.principal.arn, now=call.now, purge_at=purge_at)
    return tags
