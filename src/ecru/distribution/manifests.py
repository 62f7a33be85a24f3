"""Manifests: pull, push and delete by tag or digest."""

from ecru.call import Call
from ecru.distribution.declare import route
from ecru.distribution.exchange import Answer, Request
from ecru.errors import ImageNotFound, InvalidCombination, InvalidDigestReference, InvalidTagReference
from ecru.metadata import images, repositories
from ecru.metadata.database import Transaction
from ecru.oci.digest import Digest, InvalidDigest
from ecru.oci.manifest import MANIFEST_SIZE_LIMIT
from ecru.oci.names import InvalidTag, Tag, parse_reference, parse_tag
from ecru.policy.arn import Registry
from ecru.registry import images as registry_images

_TAGS_PER_PUSH = 100


def _parse_reference(text: str) -> tuple[Digest | None, Tag | None]:
    """Read the last part of a path, as a digest or as a tag.

    Raises:
        InvalidDigestReference, InvalidTagReference: it is neither.
    """
    try:
        return parse_reference(text)
    except InvalidDigest as fault:
        raise InvalidDigestReference(str(fault)) from None
    except InvalidTag as fault:
        raise InvalidTagReference(str(fault)) from None


@route("GET", "/v2/{name}/manifests/{reference}", actions=["ecr:BatchGetImage"])
async def get_manifest(request: Request, call: Call, *, name: str, reference: str) -> Answer:
    """Serve a manifest as it was pushed; what the client accepts does not change it.

    ``end-3``. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
    """
    try:
        digest, tag = _parse_reference(reference)
    except (InvalidDigestReference, InvalidTagReference):
        raise ImageNotFound(name, call.registry.id, tag=reference) from None
    find = registry_images.find_manifest
    manifest = await call.deployment.database.read(find, call.registry, name, digest=digest, tag=tag)
    headers = {"Docker-Content-Digest": manifest.digest, "ETag": f'"{manifest.digest}"'}
    if request.method == "GET":
        call.deployment.pulls.note(manifest.image_id, call.now)
    if manifest.digest in _known_to_client(request):
        return Answer(304, headers)
    headers |= {"Content-Type": manifest.media_type, "Content-Length": str(len(manifest.content))}
    return Answer(200, headers, manifest.content)


def _known_to_client(request: Request) -> set[str]:
    """Digests that ``If-None-Match`` names, quoted or bare."""
    text = request.headers.get("if-none-match", "")
    return {each.strip().removeprefix("W/").strip('"') for each in text.split(",") if each.strip()}


@route("PUT", "/v2/{name}/manifests/{reference}", actions=["ecr:PutImage"])
async def put_manifest(request: Request, call: Call, *, name: str, reference: str) -> Answer:
    """Push a manifest by tag, or by digest with any number of ``tag=`` parameters.

    ``end-7a`` and, of the ``dev`` profile, ``end-7b``: all tags are set or none.
    """
    digest, tag = _parse_reference(reference)
    tags = [] if tag is None else [tag]
    parameters = request.query.get("tag", ())
    if parameters:
        if tag is not None:
            raise InvalidCombination("Parameters 'tag' go with a push by digest, not with a push by tag.")
        if len(parameters) > _TAGS_PER_PUSH:
            raise InvalidCombination(f"A push may set at most {_TAGS_PER_PUSH} tags, not {len(parameters)}.")
        try:
            tags = [parse_tag(each) for each in parameters]
        except InvalidTag as fault:
            raise InvalidTagReference(str(fault)) from None
    content = await request.read(MANIFEST_SIZE_LIMIT)
    media_type = request.headers.get("content-type")
    pushed = await registry_images.push(call, call.registry, name, content, media_type, tags=tags, digest=digest)
    headers = {"Location": f"/v2/{name}/manifests/{pushed.digest}", "Docker-Content-Digest": pushed.digest}
    if pushed.subject is not None:
        headers["OCI-Subject"] = pushed.subject
    if pushed.warning is not None:
        headers["Warning"] = f'299 - "{pushed.warning}"'
    if parameters:
        headers["OCI-Tag"] = ", ".join(dict.fromkeys(tags))
    return Answer(201, headers)


@route("DELETE", "/v2/{name}/manifests/{reference}", actions=["ecr:BatchDeleteImage"])
async def delete_manifest(request: Request, call: Call, *, name: str, reference: str) -> Answer:  # noqa: ARG001
    """Delete a tag, or an image with all its tags; an image that an index lists stays.

    ``end-9``. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#content-management
    """
    digest, tag = _parse_reference(reference)
    await call.deployment.database.write(_delete, call, call.registry, name, digest, tag)
    return Answer(202)


def _delete(db: Transaction, call: Call, registry: Registry, name: str, digest: Digest | None, tag: Tag | None) -> None:
    repository = repositories.get(db, registry, name, lock="change")
    if tag is not None:
        image = images.find_tagged(db, repository.id, tag)
    else:
        image = images.find(db, repository.id, str(digest), lock=True)
    if image is None:
        raise ImageNotFound(name, registry.id, digest=digest or "null", tag=tag or "null")
    if tag is not None:
        registry_images.remove_tag(db, call, repository, tag, image)
    else:
        registry_images.delete(db, call, repository, image)
