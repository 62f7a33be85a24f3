"""Images: put, get, delete, describe and list them, and what refers to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ecru.aws.ecr import image_ids
from ecru.aws.ecr.image_ids import Failure, ImageId
from ecru.aws.ecr.repositories import refuse_paging
from ecru.aws.operation import named_repository, operation
from ecru.aws.paging import parse_token, render_token
from ecru.call import Call
from ecru.errors import (
    ImageAlreadyExists,
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageReferencedByIndex,
    ImageTagAlreadyExists,
    InvalidManifestSyntax,
    InvalidParameter,
    LayersNotFound,
    LimitExceeded,
    ManifestTooLarge,
    ReferencedImagesNotFound,
    RepositoryNotFound,
    UnsupportedManifestType,
)
from ecru.metadata import images, repositories
from ecru.metadata.database import Transaction
from ecru.metadata.images import Image, StoredManifest
from ecru.metadata.repositories import Repository
from ecru.oci.digest import Digest, InvalidDigest, parse_digest
from ecru.oci.names import InvalidTag, parse_tag
from ecru.policy.arn import Registry
from ecru.registry import images as registry_images
from ecru.rules.limits import MEBIBYTE

_PAGE = 100
_MANIFESTS_BYTES = 32 * MEBIBYTE
"""Of one answer; a hundred manifests of 4 MiB each would be too much to hold."""
_REFERRERS_PAGE = 20
_TAGGED = {"TAGGED": True, "UNTAGGED": False}


@operation(
    "PutImage",
    resource=named_repository,
    raises=[
        RepositoryNotFound,
        ImageAlreadyExists,
        LayersNotFound,
        ReferencedImagesNotFound,
        LimitExceeded,
        ImageTagAlreadyExists,
        ImageDigestDoesNotMatch,
        InvalidManifestSyntax,
        UnsupportedManifestType,
        ManifestTooLarge,
    ],
)
async def put_image(
    call: Call,
    *,
    repository_name: str,
    image_manifest: str,
    registry_id: str | None = None,
    image_manifest_media_type: str | None = None,
    image_tag: str | None = None,
    image_digest: str | None = None,
) -> dict[str, object]:
    """Store a manifest, and point a tag to it; what is there already is an error, and harmless.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    """
    registry = call.in_registry(registry_id)
    try:
        tags = [] if image_tag is None else [parse_tag(image_tag)]
    except InvalidTag as fault:
        raise InvalidParameter("imageTag", str(fault)) from None
    content = image_manifest.encode("utf-8", "surrogatepass")
    pushed = await registry_images.push(
        call,
        registry,
        repository_name,
        content,
        image_manifest_media_type,
        tags=tags,
        digest=None if image_digest is None else _read_digest(image_digest),
    )
    if not pushed.changed:
        raise ImageAlreadyExists(pushed.digest, image_tag or "null", repository_name, registry.id)
    return {
        "image": {
            "registry_id": registry.id,
            "repository_name": repository_name,
            "image_id": _identifier(pushed.digest, image_tag),
            "image_manifest": image_manifest,
            "image_manifest_media_type": pushed.media_type,
        }
    }


def _read_digest(text: str) -> Digest:
    try:
        return parse_digest(text)
    except InvalidDigest as fault:
        raise InvalidParameter("imageDigest", str(fault)) from None


def _identifier(digest: str, tag: str | None) -> dict[str, str]:
    return {"image_digest": digest} if tag is None else {"image_digest": digest, "image_tag": tag}


@operation("BatchGetImage", resource=named_repository, raises=[RepositoryNotFound, LimitExceeded])
async def batch_get_image(
    call: Call,
    *,
    repository_name: str,
    image_ids: Sequence[Mapping[str, Any]],
    registry_id: str | None = None,
    accepted_media_types: Sequence[str] | None = None,
) -> dict[str, object]:
    """Give manifests as they were pushed, and say of which images there is none.

    Nothing is converted: an image of a type that is not accepted is not found by tag, and given as it is by digest.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
    """
    registry = call.in_registry(registry_id)
    found, failures = await call.deployment.database.read_long(
        _find_manifests, registry, repository_name, image_ids, accepted_media_types
    )
    for _, manifest in found:
        call.deployment.pulls.note(manifest.image_id, call.now)
    return {
        "images": [
            {
                "registry_id": registry.id,
                "repository_name": repository_name,
                "image_id": _identifier(manifest.digest, wanted.tag),
                "image_manifest": manifest.content.decode(),
                "image_manifest_media_type": manifest.media_type,
            }
            for wanted, manifest in found
        ],
        "failures": failures,
    }


def _find_manifests(
    db: Transaction,
    registry: Registry,
    name: str,
    given_ids: Sequence[Mapping[str, Any]],
    accepted_media_types: Sequence[str] | None,
) -> tuple[list[tuple[ImageId, StoredManifest]], list[Failure]]:
    repository = repositories.get(db, registry, name)
    found: list[tuple[ImageId, StoredManifest]] = []
    failures: list[Failure] = []
    room = _MANIFESTS_BYTES
    for given in given_ids:
        wanted = image_ids.parse(given)
        if isinstance(wanted, Failure):
            failures.append(wanted)
            continue
        image = image_ids.find(db, repository, wanted)
        room -= 0 if image is None else image.manifest_bytes
        if room < 0:
            raise LimitExceeded("bytes of manifests in one answer", _MANIFESTS_BYTES, "; ask for fewer images at a time")
        manifest = None if image is None else images.find_manifest(db, repository.id, digest=image.digest)
        refused = wanted.digest is None and accepted_media_types is not None and manifest is not None
        if manifest is None or (refused and manifest.media_type not in (accepted_media_types or ())):
            failures.append(image_ids.failure_of(db, repository, wanted, given))
        else:
            found.append((wanted, manifest))
    return found, failures


@operation("BatchDeleteImage", writes=True, resource=named_repository, raises=[RepositoryNotFound])
def batch_delete_image(
    db: Transaction,
    call: Call,
    *,
    repository_name: str,
    image_ids: Sequence[Mapping[str, Any]],
    registry_id: str | None = None,
) -> dict[str, object]:
    """Delete images and tags: the last tag takes the image along; a child goes only when no index lists it any more.

    A tag with its digest removes that tag. Indexes of one request go first, so that their children may be in it too.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
    """
    repository = repositories.get(db, call.in_registry(registry_id), repository_name, lock="change")
    deleted: list[dict[str, str]] = []
    failures: list[Failure] = []
    waiting = list(image_ids)
    while waiting:
        protected: list[tuple[Mapping[str, Any], Failure]] = []
        before = len(waiting)
        for given in waiting:
            outcome = _delete_one(db, call, repository, given)
            if not isinstance(outcome, Failure):
                deleted += outcome
            elif outcome.failure_code == "ImageReferencedByManifestList":
                protected.append((given, outcome))
            else:
                failures.append(outcome)
        waiting = [given for given, _ in protected]
        if len(waiting) == before:  # nothing went that could have set them free
            failures += [failure for _, failure in protected]
            break
    return {"image_ids": deleted, "failures": failures}


def _delete_one(db: Transaction, call: Call, repository: Repository, given: Mapping[str, Any]) -> list[dict[str, str]] | Failure:
    wanted = image_ids.parse(given)
    if isinstance(wanted, Failure):
        return wanted
    image = image_ids.find(db, repository, wanted)
    if image is None:
        return image_ids.failure_of(db, repository, wanted, given)
    if wanted.tag is not None and images.count_tags(db, image.id) > 1:
        registry_images.remove_tag(db, call, repository, wanted.tag, image)
        return [_identifier(image.digest, wanted.tag)]
    try:
        tags = registry_images.delete(db, call, repository, image)
    except ImageReferencedByIndex as fault:
        return image_ids.refused(given, fault, "ImageReferencedByManifestList")
    return [_identifier(image.digest, tag) for tag in tags] or [_identifier(image.digest, None)]


def _statuses(status: str | None) -> list[str] | None:
    """The statuses that a filter lets through; without one, only active images are listed."""
    if status == "ANY":
        return None
    return [status or images.ACTIVE]


@operation("DescribeImages", long=True, resource=named_repository, raises=[RepositoryNotFound, ImageNotFound])
def describe_images(
    db: Transaction,
    call: Call,
    *,
    repository_name: str,
    registry_id: str | None = None,
    image_ids: Sequence[Mapping[str, Any]] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
    filter: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Describe the named images, all of them or an error; without ids, a page of those that pass the filter.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
    """
    repository = repositories.get(db, call.in_registry(registry_id), repository_name)
    if image_ids is not None:
        refuse_paging("imageIds", next_token, max_results)
        return {"image_details": _describe_all(db, repository, _find_named(db, repository, image_ids))}
    chosen = filter or {}
    question = ["images", repository.id, sorted(chosen.items())]
    position, limit = parse_token(next_token, question, (int,)), max_results or _PAGE
    page = images.list_page(
        db,
        repository.id,
        tagged=_TAGGED.get(chosen.get("tag_status", "ANY")),
        statuses=_statuses(chosen.get("image_status")),
        after=0 if position is None else int(str(position[0])),
        limit=limit + 1,
    )
    answer: dict[str, object] = {"image_details": _describe_all(db, repository, page[:limit])}
    if len(page) > limit:
        answer["next_token"] = render_token([page[limit - 1].id], question)
    return answer


def _find_named(db: Transaction, repository: Repository, given_ids: Sequence[Mapping[str, Any]]) -> list[Image]:
    """Find all named images, each once.

    Raises:
        InvalidParameter, ImageNotFound: one of them is malformed or missing.
    """
    found: dict[int, Image] = {}
    for wanted in [image_ids.require(given) for given in given_ids]:
        image = image_ids.find(db, repository, wanted)
        if image is None:
            raise wanted.not_found(repository)
        found[image.id] = image
    return list(found.values())


def _describe_all(db: Transaction, repository: Repository, found: Sequence[Image]) -> list[dict[str, object]]:
    tags = images.list_tags_of(db, [image.id for image in found])
    return [
        {
            "registry_id": repository.registry.id,
            "repository_name": repository.name,
            "image_digest": image.digest,
            "image_tags": tags.get(image.id),
            "image_size_in_bytes": image.size_bytes,
            "image_pushed_at": image.pushed_at,
            "image_manifest_media_type": image.media_type,
            "artifact_media_type": image.artifact_type or image.config_media_type,
            "last_recorded_pull_time": image.last_pulled_at,
            "subject_manifest_digest": image.subject_digest,
            "image_status": image.status,
        }
        for image in found
    ]


@operation("ListImages", long=True, resource=named_repository, raises=[RepositoryNotFound])
def list_images(
    db: Transaction,
    call: Call,
    *,
    repository_name: str,
    registry_id: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
    filter: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """List pairs of digest and tag; an image without tags comes once, by its digest.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImages.html
    """
    repository = repositories.get(db, call.in_registry(registry_id), repository_name)
    chosen = filter or {}
    question = ["identifiers", repository.id, sorted(chosen.items())]
    position, limit = parse_token(next_token, question, (int, str)), max_results or _PAGE
    page = images.list_identifiers(
        db,
        repository.id,
        tagged=_TAGGED.get(chosen.get("tag_status", "ANY")),
        statuses=_statuses(chosen.get("image_status")),
        after=(0, "") if position is None else (int(str(position[0])), str(position[1])),
        limit=limit + 1,
    )
    answer: dict[str, object] = {"image_ids": [_identifier(digest, tag) for _, digest, tag in page[:limit]]}
    if len(page) > limit:
        image_id, _, tag = page[limit - 1]
        answer["next_token"] = render_token([image_id, tag or ""], question)
    return answer


@operation("ListImageReferrers", long=True, resource=named_repository, action="ecr:BatchGetImage", raises=[RepositoryNotFound])
def list_image_referrers(
    db: Transaction,
    call: Call,
    *,
    repository_name: str,
    subject_id: Mapping[str, str],
    registry_id: str | None = None,
    filter: Mapping[str, Any] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> dict[str, object]:
    """List the images that name another one as their subject, which need not be there.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImageReferrers.html
    """
    repository = repositories.get(db, call.in_registry(registry_id), repository_name)
    subject, chosen = _read_digest(subject_id["image_digest"]), filter or {}
    question = ["referrers", repository.id, subject, chosen]
    position, limit = parse_token(next_token, question, (int,)), max_results or _REFERRERS_PAGE
    page, more = images.list_referrers(
        db,
        repository.id,
        subject,
        artifact_types=chosen.get("artifact_types") or (),
        statuses=_statuses(chosen.get("artifact_status")),
        after=0 if position is None else int(str(position[0])),
        limit=limit,
    )
    answer: dict[str, object] = {
        "referrers": [
            {
                "digest": each.digest,
                "media_type": each.media_type,
                "artifact_type": each.artifact_type,
                "size": each.manifest_bytes,
                "annotations": each.annotations,
                "artifact_status": images.ACTIVE,
            }
            for each in page
        ]
    }
    if more:
        answer["next_token"] = render_token([page[-1].id], question)
    return answer
