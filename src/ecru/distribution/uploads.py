"""Uploads: open, chunks, status, end, cancel; the ways of pushing a blob that the specification has.

``Location`` is relative and stays the same for the whole session, so that an older one never fails.
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
"""

from ecru.access.authorize import decide
from ecru.call import Call
from ecru.distribution.blobs import read_digest
from ecru.distribution.declare import route
from ecru.distribution.exchange import Answer, Request
from ecru.errors import BlobNotFound, ChunkLengthInvalid, ChunkRangeInvalid, InvalidDigestReference, RepositoryNotFound
from ecru.metadata.uploads import Upload
from ecru.oci.digest import InvalidDigest, parse_digest
from ecru.oci.ranges import InvalidContentRange, parse_content_range
from ecru.policy.arn import repository_arn
from ecru.registry import blobs as registry_blobs
from ecru.registry import uploads as registry_uploads

_PUSH = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]


@route("POST", "/v2/{name}/blobs/uploads/", actions=["ecr:InitiateLayerUpload"])
@route("POST", "/v2/{name}/blobs/uploads", actions=["ecr:InitiateLayerUpload"])
async def begin_upload(request: Request, call: Call, *, name: str) -> Answer:
    """Open an upload; with ``digest`` take the whole blob at once, with ``mount`` take it from another repository.

    ``end-4a``, ``end-4b``, ``end-11``. ``digest-algorithm`` (``end-4c`` of the ``dev`` profile) may say what the closing
    digest will be made with.
    """
    algorithm = request.first("digest-algorithm")
    if algorithm not in (None, "sha256", "sha512"):
        raise InvalidDigestReference(f"digest-algorithm must be sha256 or sha512, not '{algorithm}'")
    if (mount := request.first("mount")) is not None and await _mount(request, call, name, mount):
        return _created(name, mount)
    digest = request.first("digest")
    if digest is None:
        session = await call.deployment.database.write(registry_uploads.begin, call, call.registry, name)
        return Answer(202, _progress(session.upload, name))
    wanted = read_digest(digest)
    for action in _PUSH:
        call.require(action, repository_arn(call.registry, name))
    session = await call.deployment.database.write(registry_uploads.begin, call, call.registry, name)
    completed = await registry_uploads.complete(
        call, call.registry, name, session.upload.id, wanted, request.content(), length=request.content_length, begun_here=True
    )
    return _created(name, completed.digest)


async def _mount(request: Request, call: Call, name: str, mount: str) -> bool:
    """Try to mount; whatever stands in the way, the client may upload instead.

    Without ``from`` nothing is mounted: it would tell what lies in repositories that the client did not name.
    """
    source = request.first("from")
    try:
        digest = parse_digest(mount)
    except InvalidDigest:
        return False
    if source is None:
        return False
    right = decide(call.principal, "ecr:GetDownloadUrlForLayer", repository_arn(call.registry, source))
    if not right.allowed:
        return False
    try:
        await registry_blobs.find_whole(call.deployment, call.registry, source, digest)
    except (RepositoryNotFound, BlobNotFound):
        return False
    return await call.deployment.database.write(
        registry_blobs.mount, call, call.registry, target=name, source=source, digest=digest
    )


@route("PATCH", "/v2/{name}/blobs/uploads/{upload}", actions=["ecr:UploadLayerPart"])
async def append_chunk(request: Request, call: Call, *, name: str, upload: str) -> Answer:
    """Take the next bytes: all in one body of any length, or a chunk with its ``Content-Range``.

    ``end-5``.
    """
    first, length = _chunk(request)
    session = await registry_uploads.append(call, call.registry, name, upload, request.content(), first_byte=first, length=length)
    return Answer(202, _progress(session.upload, name))


@route("PUT", "/v2/{name}/blobs/uploads/{upload}", actions=["ecr:CompleteLayerUpload"])
async def complete_upload(request: Request, call: Call, *, name: str, upload: str) -> Answer:
    """Take the last bytes, if any, and make a blob of the upload.

    ``end-6``.
    """
    text = request.first("digest")
    if text is None:
        raise InvalidDigestReference("the closing PUT needs a parameter 'digest'")
    digest = read_digest(text)
    first, length = _chunk(request)
    content = request.content() if request.may_have_body else None
    if content is not None:
        call.require("ecr:UploadLayerPart", repository_arn(call.registry, name))
        length = request.content_length if length is None else length
    completed = await registry_uploads.complete(call, call.registry, name, upload, digest, content, first_byte=first, length=length)
    return _created(name, completed.digest)


@route("GET", "/v2/{name}/blobs/uploads/{upload}", actions=["ecr:UploadLayerPart"])
async def upload_status(request: Request, call: Call, *, name: str, upload: str) -> Answer:  # noqa: ARG001
    """Tell how much has arrived.

    ``end-13``.
    """
    session = await call.deployment.database.read(registry_uploads.find, call.registry, name, upload)
    return Answer(204, _progress(session.upload, name))


@route("DELETE", "/v2/{name}/blobs/uploads/{upload}", actions=["ecr:UploadLayerPart"])
async def cancel_upload(request: Request, call: Call, *, name: str, upload: str) -> Answer:  # noqa: ARG001
    """End an upload; what has arrived of it goes.

    ``end-14`` of the ``dev`` profile, which docker and skopeo have long used.
    """
    await registry_uploads.cancel(call, call.registry, name, upload)
    return Answer(204)


def _chunk(request: Request) -> tuple[int | None, int | None]:
    """Where a chunk begins and how long it is, as its ``Content-Range`` says; None and None without one.

    Raises:
        ChunkRangeInvalid: the header is no range.
        ChunkLengthInvalid: the body has another length than the range.
    """
    text = request.headers.get("content-range")
    if text is None:
        return None, None
    try:
        first, last = parse_content_range(text)
    except InvalidContentRange as fault:
        raise ChunkRangeInvalid(str(fault)) from None
    length = last - first + 1
    if request.content_length not in (None, length):
        raise ChunkLengthInvalid(text, length, request.content_length or 0)
    return first, length


def _progress(upload: Upload, name: str) -> dict[str, str]:
    """Headers of an open upload. One without bytes has no truthful range; every registry says ``0-0``."""
    return {
        "Location": f"/v2/{name}/blobs/uploads/{upload.id}",
        "Range": f"0-{max(upload.received_bytes - 1, 0)}",
        "Docker-Upload-UUID": upload.id,
    }


def _created(name: str, digest: str) -> Answer:
    return Answer(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})
