"""Blobs: pull with ranges, existence, and deletion."""

from collections.abc import Mapping

from ecru.blobs.store import BlobStore
from ecru.call import Call
from ecru.distribution.declare import route
from ecru.distribution.exchange import Answer, File, Request
from ecru.errors import InvalidDigestReference, RangeNotSatisfiable
from ecru.metadata.blobs import Blob
from ecru.oci.digest import Digest, InvalidDigest, parse_digest
from ecru.oci.ranges import UnsatisfiableRange, parse_byte_range
from ecru.registry import blobs as registry_blobs


def read_digest(text: str) -> Digest:
    """Read a digest of a path or query.

    Raises:
        InvalidDigestReference: it is none.
    """
    try:
        return parse_digest(text)
    except InvalidDigest as fault:
        raise InvalidDigestReference(str(fault)) from None


@route("GET", "/v2/{name}/blobs/{digest}", actions=["ecr:GetDownloadUrlForLayer"])
async def get_blob(request: Request, call: Call, *, name: str, digest: str) -> Answer:
    """Serve a blob, whole or one range of it, or say where the object store serves it.

    ``end-2``. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
    """
    deployment = call.deployment
    blob, store = await registry_blobs.find_whole(deployment, call.registry, name, read_digest(digest))
    if deployment.redirect_to_store:
        url = await store.signed_url(blob.location, deployment.url_lifetime)
        if url is not None:
            return Answer(307, {"Location": url, "Docker-Content-Digest": blob.digest})
    return serve(request, blob, store)


@route(
    "HEAD",
    "/v2/{name}/blobs/{digest}",
    actions=["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"],
    either=True,
)
async def head_blob(request: Request, call: Call, *, name: str, digest: str) -> Answer:  # noqa: ARG001
    """Tell whether a blob is there, and its size."""
    blob, _ = await registry_blobs.find_whole(call.deployment, call.registry, name, read_digest(digest))
    return Answer(200, {**_headers(blob), "Content-Length": str(blob.size_bytes)})


@route("DELETE", "/v2/{name}/blobs/{digest}", actions=["ecr:BatchDeleteImage"])
async def delete_blob(request: Request, call: Call, *, name: str, digest: str) -> Answer:  # noqa: ARG001
    """Serve a blob no longer, unless a living image needs it.

    ``end-10``.
    """
    await call.deployment.database.write(registry_blobs.delete, call, call.registry, name, read_digest(digest))
    return Answer(202)


def _headers(blob: Blob) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": blob.digest,
        "ETag": f'"{blob.digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
    }


def serve(request: Request, blob: Blob, store: BlobStore) -> Answer:
    """The bytes of a blob, or the range that the request names (RFC 9110, section 14).

    Raises:
        RangeNotSatisfiable: the range lies outside the blob.
    """
    headers = _headers(blob)
    if f'"{blob.digest}"' in request.headers.get("if-none-match", ""):
        return Answer(304, headers)
    given = _range_of(request.headers, blob)
    try:
        chosen = parse_byte_range(given, blob.size_bytes)
    except UnsatisfiableRange:
        raise RangeNotSatisfiable(given or "", blob.size_bytes) from None
    if chosen is not None:
        headers["Content-Range"] = f"bytes {chosen.first}-{chosen.last}/{blob.size_bytes}"
        headers["Content-Length"] = str(chosen.last - chosen.first + 1)
        return Answer(206, headers, store.read(blob.location, chosen.first, chosen.last))
    headers["Content-Length"] = str(blob.size_bytes)
    path = store.local_path(blob.location)
    return Answer(200, headers, store.read(blob.location) if path is None else File(path))


def _range_of(headers: Mapping[str, str], blob: Blob) -> str | None:
    """The range asked for; none when ``If-Range`` names another version, of which there is none for a digest."""
    condition = headers.get("if-range")
    if condition is not None and condition.strip() != f'"{blob.digest}"':
        return None
    return headers.get("range")
