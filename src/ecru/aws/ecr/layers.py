"""Layers: whether they are there, uploads in parts, and URLs to download them."""

from collections.abc import AsyncIterator, Sequence

from ecru.access import urls
from ecru.aws.operation import named_repository, operation
from ecru.call import Call
from ecru.errors import BlobNotFound as LayerNotFound
from ecru.errors import (
    EmptyUpload,
    InvalidLayer,
    InvalidLayerPart,
    InvalidParameter,
    LayerAlreadyExists,
    LayerInaccessible,
    LayerPartTooSmall,
    LayersNotFound,
    LayerTooLarge,
    LimitExceeded,
    RepositoryNotFound,
    UploadNotFound,
)
from ecru.metadata import blobs, repositories
from ecru.metadata.blobs import Blob
from ecru.metadata.database import Transaction
from ecru.metadata.repositories import Repository
from ecru.oci.digest import Digest, InvalidDigest, parse_digest
from ecru.policy.arn import Registry
from ecru.registry import uploads as registry_uploads
from ecru.rules.limits import MEBIBYTE

PART_BYTES = 10 * MEBIBYTE
"""What clients are told to send; up to 20 MiB is taken, as the model allows."""
SMALLEST_PART_BYTES = 5 * MEBIBYTE
_UNKNOWN_MEDIA_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
"""Said of a layer that no manifest has named yet."""


def read_digest(text: str, parameter: str = "layerDigest") -> Digest:
    """Read the digest of a layer.

    Raises:
        InvalidParameter: it is none.
    """
    try:
        return parse_digest(text)
    except InvalidDigest as fault:
        raise InvalidParameter(parameter, str(fault)) from None


@operation("BatchCheckLayerAvailability", resource=named_repository, raises=[RepositoryNotFound])
async def batch_check_layer_availability(
    call: Call, *, repository_name: str, layer_digests: Sequence[str], registry_id: str | None = None
) -> dict[str, object]:
    """Tell which layers a repository has; one whose bytes are gone counts as missing, so that a push brings it back.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchCheckLayerAvailability.html
    """
    valid: list[Digest] = []
    failures: list[dict[str, str]] = []
    for text in dict.fromkeys(layer_digests):
        try:
            valid.append(parse_digest(text))
        except InvalidDigest as fault:
            code = "InvalidLayerDigest" if text else "MissingLayerDigest"
            failures.append({"layer_digest": text, "failure_code": code, "failure_reason": str(fault)})

    def find(db: Transaction, registry: Registry) -> tuple[Repository, dict[Digest, Blob]]:
        repository = repositories.get(db, registry, repository_name)
        return repository, blobs.find_all(db, repository.id, valid)

    repository, found = await call.deployment.database.read(find, call.in_registry(registry_id))
    store = call.deployment.stores[repository.store]
    layers: list[dict[str, object]] = []
    for digest in valid:
        layer = found.get(digest)
        if layer is None or await store.size(layer.location) != layer.size_bytes:
            layers.append({"layer_digest": digest, "layer_availability": "UNAVAILABLE"})
            continue
        layers.append(
            {
                "layer_digest": digest,
                "layer_availability": "AVAILABLE",
                "layer_size": layer.size_bytes,
                "media_type": layer.media_type or _UNKNOWN_MEDIA_TYPE,
            }
        )
    return {"layers": layers, "failures": failures}


@operation("InitiateLayerUpload", writes=True, resource=named_repository, raises=[RepositoryNotFound])
def initiate_layer_upload(
    db: Transaction, call: Call, *, repository_name: str, registry_id: str | None = None
) -> dict[str, object]:
    """Open an upload and say how large its parts should be.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_InitiateLayerUpload.html
    """
    session = registry_uploads.begin(db, call, call.in_registry(registry_id), repository_name)
    return {"upload_id": session.upload.id, "part_size": PART_BYTES}


@operation(
    "UploadLayerPart",
    resource=named_repository,
    raises=[RepositoryNotFound, UploadNotFound, InvalidLayerPart, LimitExceeded, LayerTooLarge],
)
async def upload_layer_part(
    call: Call,
    *,
    repository_name: str,
    upload_id: str,
    part_first_byte: int,
    part_last_byte: int,
    layer_part_blob: bytes,
    registry_id: str | None = None,
) -> dict[str, object]:
    """Take the next part of an upload; parts follow each other without gaps.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UploadLayerPart.html
    """
    registry = call.in_registry(registry_id)
    length = part_last_byte - part_first_byte + 1
    if length < 1 or length != len(layer_part_blob):
        session = await call.deployment.database.read(registry_uploads.find, registry, repository_name, upload_id.lower())
        given = f"bytes {part_first_byte} to {part_last_byte} with {len(layer_part_blob)} bytes"
        raise InvalidLayerPart(upload_id, repository_name, registry.id, session.upload.received_bytes, given)
    await registry_uploads.append(
        call,
        registry,
        repository_name,
        upload_id.lower(),
        _pieces(layer_part_blob),
        first_byte=part_first_byte,
        length=length,
        most_segments=call.deployment.limits.parts_per_upload,
    )
    return {
        "registry_id": registry.id,
        "repository_name": repository_name,
        "upload_id": upload_id,
        "last_byte_received": part_last_byte,
    }


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


@operation(
    "CompleteLayerUpload",
    resource=named_repository,
    raises=[RepositoryNotFound, UploadNotFound, EmptyUpload, LayerPartTooSmall, InvalidLayer, LayerAlreadyExists],
)
async def complete_layer_upload(
    call: Call, *, repository_name: str, upload_id: str, layer_digests: Sequence[str], registry_id: str | None = None
) -> dict[str, object]:
    """Make a layer of the parts of an upload. Of several digests, which name the same bytes, the first is verified.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
    """
    registry = call.in_registry(registry_id)
    digest = read_digest(layer_digests[0], "layerDigests")
    completed = await registry_uploads.complete(
        call,
        registry,
        repository_name,
        upload_id.lower(),
        digest,
        None,
        smallest_part_bytes=SMALLEST_PART_BYTES,
    )
    if completed.existed:
        raise LayerAlreadyExists(digest, repository_name, registry.id)
    return {
        "registry_id": registry.id,
        "repository_name": repository_name,
        "upload_id": upload_id,
        "layer_digest": completed.digest,
    }


@operation(
    "GetDownloadUrlForLayer",
    resource=named_repository,
    raises=[RepositoryNotFound, LayerNotFound, LayersNotFound, LayerInaccessible],
)
async def get_download_url_for_layer(
    call: Call, *, repository_name: str, layer_digest: str, registry_id: str | None = None
) -> dict[str, object]:
    """Give a URL at which anyone may read a layer for a while; the object store's where there is one, else our own.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html
    """
    registry, digest = call.in_registry(registry_id), read_digest(layer_digest)
    deployment = call.deployment

    def find(db: Transaction) -> tuple[Repository, Blob]:
        repository = repositories.get(db, registry, repository_name)
        layer = blobs.find(db, repository.id, digest)
        if layer is None:
            raise LayerNotFound(digest, repository_name, registry.id)
        if not blobs.is_needed(db, repository.id, layer.id):
            raise LayerInaccessible(digest, repository_name, registry.id)
        return repository, layer

    repository, layer = await deployment.database.read(find)
    store = deployment.stores[repository.store]
    url = await store.signed_url(layer.location, deployment.url_lifetime) if deployment.redirect_to_store else None
    if url is None:
        path = urls.sign(deployment.keys, registry, repository_name, digest, ends_at=call.now + deployment.url_lifetime)
        url = f"{call.endpoint.scheme}://{call.registry_host(registry)}{path}"
    return {"download_url": url, "layer_digest": digest}
