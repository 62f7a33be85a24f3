"""Image identifiers: a tag, a digest, or both, as operations on one image or on many read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecru.errors import ApiError, ImageNotFound, InvalidParameter
from ecru.metadata import images
from ecru.metadata.database import Transaction
from ecru.metadata.images import Image
from ecru.metadata.repositories import Repository
from ecru.oci.digest import Digest, InvalidDigest, parse_digest
from ecru.oci.names import InvalidTag, Tag, parse_tag

_DIGEST_RULE = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
_TAG_RULE = "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'"


@dataclass(frozen=True, slots=True)
class ImageId:
    """An image identifier that is well formed; at least one of its parts is there."""

    digest: Digest | None
    tag: Tag | None

    def not_found(self, repository: Repository) -> ImageNotFound:
        """The error of an operation on this one image."""
        return ImageNotFound(repository.name, repository.registry.id, digest=self.digest or "null", tag=self.tag or "null")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one image of a batch was passed over, as ``failures`` of the answer says it."""

    image_id: Mapping[str, Any]
    failure_code: str
    failure_reason: str


def parse(given: Mapping[str, Any]) -> ImageId | Failure:
    """Read an image identifier of a batch."""
    digest_text, tag_text = given.get("image_digest"), given.get("image_tag")
    if digest_text is None and tag_text is None:
        reason = "Invalid request parameters: both tag and digest cannot be null"
        return Failure(given, "MissingDigestAndTag", reason)
    digest: Digest | None = None
    tag: Tag | None = None
    try:
        if digest_text is not None:
            digest = parse_digest(digest_text)
        if tag_text is not None:
            tag = parse_tag(tag_text)
    except InvalidDigest:
        return Failure(given, "InvalidImageDigest", _DIGEST_RULE)
    except InvalidTag:
        return Failure(given, "InvalidImageTag", _TAG_RULE)
    return ImageId(digest, tag)


def require(given: Mapping[str, Any]) -> ImageId:
    """Read the image identifier of an operation that fails as a whole.

    Raises:
        InvalidParameter: it is malformed, or empty.
    """
    parsed = parse(given)
    if isinstance(parsed, Failure):
        parameter = "imageTag" if parsed.failure_code == "InvalidImageTag" else "imageDigest"
        raise InvalidParameter(parameter, parsed.failure_reason.removeprefix("Invalid request parameters: "))
    return parsed


def find(db: Transaction, repository: Repository, wanted: ImageId) -> Image | None:
    """Look an image up; with both a digest and a tag, the tag must point to the digest."""
    if wanted.tag is None:
        return images.find(db, repository.id, str(wanted.digest))
    image = images.find_tagged(db, repository.id, wanted.tag)
    if image is None or wanted.digest not in (None, image.digest):
        return None
    return image


def failure_of(db: Transaction, repository: Repository, wanted: ImageId, given: Mapping[str, Any]) -> Failure:
    """Say why ``find`` found nothing."""
    if wanted.digest is not None and wanted.tag is not None and images.find(db, repository.id, wanted.digest):
        tagged = images.find_tagged(db, repository.id, wanted.tag)
        if tagged is not None:
            reason = f"The image tag '{wanted.tag}' points to '{tagged.digest}'"
            return Failure(given, "ImageTagDoesNotMatchDigest", reason)
    return Failure(given, "ImageNotFound", "Requested image not found")


def refused(given: Mapping[str, Any], fault: ApiError, code: str) -> Failure:
    """Turn an error about one image into its failure."""
    return Failure(given, code, fault.text)
