"""Every fault a client can meet, declared once: its ECR shape, its OCI status and code, and its words.

How the two doors read it::

    ApiError
    ├── aws/            __type = aws, message = text, HTTP 400 (500 for faults of the server)
    └── distribution/   errors: [{code: oci.code, message: text, detail: detail}], HTTP oci.status

Texts are those recorded from the service (reference: ECR API, table of exceptions); where none is known they name the
value and the remedy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

from typing_extensions import override


class Oci(NamedTuple):
    """How a fault looks on ``/v2/``: HTTP status and error code of the distribution specification."""

    status: int
    code: str


class ApiError(Exception):
    """A fault that is told to the client; anything else that escapes a handler is a bug.

    Subclasses are dataclasses (``eq=False``): their fields fill the placeholders of ``message``.
    """

    aws: ClassVar[str] = "ServerException"
    oci: ClassVar[Oci] = Oci(500, "UNKNOWN")
    message: ClassVar[str] = "The server met an unexpected condition."
    aws_status: ClassVar[int] = 400

    @property
    def text(self) -> str:
        """The message with its values filled in."""
        return self.message.format_map(self._values())

    @property
    def detail(self) -> object:
        """What ``errors[].detail`` says on ``/v2/``; None leaves it out."""
        return None

    @property
    def oci_headers(self) -> Mapping[str, str]:
        """Headers that go with the error on ``/v2/``."""
        return {}

    @property
    def aws_members(self) -> Mapping[str, object]:
        """Members of the modelled exception shape beside ``message``, in wire spelling."""
        return {}

    def _values(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @override
    def __str__(self) -> str:
        return self.text


def _listed(values: Sequence[str]) -> str:
    return "[" + ", ".join(values) + "]"


# --- who are you, may you -------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Unauthenticated(ApiError):
    """No usable credentials on ``/v2/``: always 401 with a challenge, so that clients ask for new ones."""

    aws = "UnrecognizedClientException"
    oci = Oci(401, "UNAUTHORIZED")
    message = "{reason}"

    reason: str = "Not Authorized"


@dataclass(eq=False)
class AccessDenied(ApiError):
    """A known principal that may not."""

    aws = "AccessDeniedException"
    oci = Oci(403, "DENIED")
    message = "User: {principal} is not authorized to perform: {action} on resource: {resource} {because}"

    principal: str
    action: str
    resource: str
    because: str


@dataclass(eq=False)
class InvalidDownloadUrl(ApiError):
    """A signed URL that was changed, was not signed here, or has ended."""

    aws = "AccessDeniedException"
    oci = Oci(403, "DENIED")
    message = "The download URL is not valid: {reason}. Ask for a new one with GetDownloadUrlForLayer."

    reason: str


# --- input ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class InvalidParameter(ApiError):
    """One member of the request breaks a rule."""

    aws = "InvalidParameterException"
    oci = Oci(400, "UNSUPPORTED")
    message = "Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'"

    parameter: str
    constraint: str


@dataclass(eq=False)
class InvalidCombination(ApiError):
    """Members that are right alone but not together, or a state that forbids them."""

    aws = "ValidationException"
    oci = Oci(400, "UNSUPPORTED")
    message = "{reason}"

    reason: str


@dataclass(eq=False)
class InvalidTags(ApiError):
    """Resource tags against the tagging rules."""

    aws = "InvalidTagParameterException"
    oci = Oci(400, "UNSUPPORTED")
    message = "{reason}"

    reason: str


@dataclass(eq=False)
class TooManyTags(ApiError):
    """More resource tags than a repository may have."""

    aws = "TooManyTagsException"
    oci = Oci(400, "UNSUPPORTED")
    message = "The repository would have {count} tags; a repository may have at most {limit}."

    count: int
    limit: int


@dataclass(eq=False)
class LimitExceeded(ApiError):
    """A quota is used up."""

    aws = "LimitExceededException"
    oci = Oci(400, "DENIED")
    message = "The limit '{quota}' of {limit} has been reached{where}."

    quota: str
    limit: int
    where: str = ""


@dataclass(eq=False)
class NotBuilt(ApiError):
    """A setting or operation of the service that ecru does not have yet; refused rather than stored and ignored."""

    aws = "UnsupportedOperationException"
    oci = Oci(405, "UNSUPPORTED")
    message = "{what} is not supported by this registry yet. {remedy}"

    what: str
    remedy: str = "The page 'operations' of the documentation lists what is."


# --- repositories ---------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class InvalidRepositoryReference(ApiError):
    """A repository name that breaks the grammar."""

    aws = "InvalidParameterException"
    oci = Oci(400, "NAME_INVALID")
    message = "Invalid parameter at 'repositoryName' failed to satisfy constraint: '{constraint}'"

    constraint: str


@dataclass(eq=False)
class RepositoryNotFound(ApiError):
    """No such repository in that registry."""

    aws = "RepositoryNotFoundException"
    oci = Oci(404, "NAME_UNKNOWN")
    message = "The repository with name '{repository}' does not exist in the registry with id '{registry_id}'"

    repository: str
    registry_id: str


@dataclass(eq=False)
class RepositoryAlreadyExists(ApiError):
    """The name is taken, whatever its settings."""

    aws = "RepositoryAlreadyExistsException"
    oci = Oci(409, "DENIED")
    message = "The repository with name '{repository}' already exists in the registry with id '{registry_id}'"

    repository: str
    registry_id: str


@dataclass(eq=False)
class RepositoryNotEmpty(ApiError):
    """Deletion without ``force`` of a repository that has images."""

    aws = "RepositoryNotEmptyException"
    oci = Oci(409, "DENIED")
    message = (
        "The repository with name '{repository}' in registry with id '{registry_id}' cannot be deleted "
        "because it still contains images"
    )

    repository: str
    registry_id: str


# --- images ---------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class ImageNotFound(ApiError):
    """No such image; through the registry API ECR says only 'Requested image not found'."""

    aws = "ImageNotFoundException"
    oci = Oci(404, "MANIFEST_UNKNOWN")
    message = (
        "The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository "
        "with name '{repository}' in the registry with id '{registry_id}'"
    )

    repository: str
    registry_id: str
    digest: str = "null"
    tag: str = "null"


@dataclass(eq=False)
class ImageAlreadyExists(ApiError):
    """PutImage of what is there already under that tag; on ``/v2/`` the same push succeeds."""

    aws = "ImageAlreadyExistsException"
    oci = Oci(201, "")
    message = (
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{repository}' "
        "in registry with id '{registry_id}'"
    )

    digest: str
    tag: str
    repository: str
    registry_id: str


@dataclass(eq=False)
class ImageTagAlreadyExists(ApiError):
    """A push would move a protected tag."""

    aws = "ImageTagAlreadyExistsException"
    oci = Oci(400, "TAG_INVALID")
    message = (
        "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten "
        "because the tag is immutable."
    )

    tag: str
    repository: str


@dataclass(eq=False)
class ImageDigestDoesNotMatch(ApiError):
    """The digest given with a manifest is not the manifest's."""

    aws = "ImageDigestDoesNotMatchException"
    oci = Oci(400, "DIGEST_INVALID")
    message = "The digest '{given}' does not match the digest '{computed}' calculated for the image manifest"

    given: str
    computed: str


@dataclass(eq=False)
class LayersNotFound(ApiError):
    """A manifest needs blobs that the repository does not have."""

    aws = "LayersNotFoundException"
    oci = Oci(400, "MANIFEST_BLOB_UNKNOWN")
    message = (
        "Layers with digests '{listed}' required for pushing image into repository with name '{repository}' "
        "in the registry with id '{registry_id}' do not exist"
    )

    digests: Sequence[str]
    repository: str
    registry_id: str

    @property
    def listed(self) -> str:
        """The digests as ECR lists them."""
        return _listed(self.digests)

    @property
    @override
    def detail(self) -> object:
        """The digests that are missing."""
        return [{"digest": digest} for digest in self.digests]

    @override
    def _values(self) -> dict[str, object]:
        return super()._values() | {"listed": self.listed}


@dataclass(eq=False)
class ReferencedImagesNotFound(LayersNotFound):
    """An index lists manifests that the repository does not have."""

    aws = "ReferencedImagesNotFoundException"
    message = (
        "Images with digests '{listed}' required for pushing image into repository with name '{repository}' "
        "in the registry with id '{registry_id}' do not exist"
    )


@dataclass(eq=False)
class ImageReferencedByIndex(ApiError):
    """An image that a present index lists cannot be deleted."""

    aws = "InvalidParameterException"
    oci = Oci(405, "UNSUPPORTED")
    message = "Requested image referenced by manifest list: {listed}"

    digests: Sequence[str]

    @override
    def _values(self) -> dict[str, object]:
        return {"listed": _listed(self.digests)}


@dataclass(eq=False)
class InvalidManifestSyntax(ApiError):
    """The manifest is refused. ECR has one text for every reason; ours names the reason after it."""

    aws = "InvalidParameterException"
    oci = Oci(400, "MANIFEST_INVALID")
    message = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax' ({reason})"

    reason: str


@dataclass(eq=False)
class UnsupportedManifestType(InvalidManifestSyntax):
    """A manifest of a type that is never stored: schema 1, or something unknown."""

    oci = Oci(400, "UNSUPPORTED")


@dataclass(eq=False)
class ManifestTooLarge(ApiError):
    """A manifest above 4 MiB."""

    aws = "InvalidParameterException"
    oci = Oci(413, "SIZE_INVALID")
    message = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'must have at most {limit} bytes'"

    limit: int


# --- blobs and uploads ----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class InvalidDigestReference(ApiError):
    """Text that should be a digest and is none."""

    aws = "InvalidParameterException"
    oci = Oci(400, "DIGEST_INVALID")
    message = "Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'"

    constraint: str
    parameter: str = "digest"


@dataclass(eq=False)
class InvalidTagReference(ApiError):
    """Text that should be an image tag and is none."""

    aws = "InvalidParameterException"
    oci = Oci(400, "TAG_INVALID")
    message = "Invalid parameter at 'imageTag' failed to satisfy constraint: '{constraint}'"

    constraint: str


@dataclass(eq=False)
class BlobNotFound(ApiError):
    """The repository has no such blob."""

    aws = "LayersNotFoundException"
    oci = Oci(404, "BLOB_UNKNOWN")
    message = (
        "The layer with digest '{digest}' does not exist in the repository with name '{repository}' "
        "in the registry with id '{registry_id}'"
    )

    digest: str
    repository: str
    registry_id: str


@dataclass(eq=False)
class LayerInaccessible(ApiError):
    """The blob is there, but no image of the repository needs it yet."""

    aws = "LayerInaccessibleException"
    oci = Oci(404, "BLOB_UNKNOWN")
    message = (
        "The layer with digest '{digest}' is not associated with an image in the repository with name "
        "'{repository}' in the registry with id '{registry_id}'"
    )

    digest: str
    repository: str
    registry_id: str


@dataclass(eq=False)
class BlobInUse(ApiError):
    """Deletion of a blob that a live manifest of the repository needs."""

    aws = "InvalidParameterException"
    oci = Oci(405, "UNSUPPORTED")
    message = (
        "The blob '{digest}' is needed by an image in the repository with name '{repository}' and cannot be deleted; "
        "delete the image instead."
    )

    digest: str
    repository: str


@dataclass(eq=False)
class UploadNotFound(ApiError):
    """No such upload in that repository: unknown, finished, cancelled or expired."""

    aws = "UploadNotFoundException"
    oci = Oci(404, "BLOB_UPLOAD_UNKNOWN")
    message = (
        "The upload with id '{upload}' does not exist in the repository with name '{repository}' "
        "in the registry with id '{registry_id}'"
    )

    upload: str
    repository: str
    registry_id: str


@dataclass(eq=False)
class InvalidLayerPart(ApiError):
    """A part that does not continue the upload; nothing of it was kept."""

    aws = "InvalidLayerPartException"
    oci = Oci(416, "RANGE_INVALID")
    message = (
        "The layer part of upload '{upload}' must begin at byte {received}, where the upload stands, "
        "and be as long as its range says; it was given as {given}."
    )

    upload: str
    repository: str
    registry_id: str
    received: int
    given: str

    @property
    @override
    def oci_headers(self) -> Mapping[str, str]:
        """Where the client may resume, without having to ask for the status first."""
        return {
            "Location": f"/v2/{self.repository}/blobs/uploads/{self.upload}",
            "Range": f"0-{max(self.received - 1, 0)}",
        }

    @property
    @override
    def aws_members(self) -> Mapping[str, object]:
        """Where the client may resume; the shape has no value for an upload without bytes, so that one is left out."""
        members: dict[str, object] = {
            "registryId": self.registry_id,
            "repositoryName": self.repository,
            "uploadId": self.upload,
        }
        if self.received:
            members["lastValidByteReceived"] = self.received - 1
        return members


@dataclass(eq=False)
class PartLengthInvalid(InvalidLayerPart):
    """The body of a chunk is shorter or longer than its range."""

    oci = Oci(400, "SIZE_INVALID")


@dataclass(eq=False)
class ChunkRangeInvalid(ApiError):
    """A ``Content-Range`` that is no range."""

    aws = "InvalidLayerPartException"
    oci = Oci(416, "RANGE_INVALID")
    message = "The Content-Range of the chunk is not valid: {reason}"

    reason: str


@dataclass(eq=False)
class ChunkLengthInvalid(ApiError):
    """A chunk whose ``Content-Length`` is not that of its ``Content-Range``."""

    aws = "InvalidLayerPartException"
    oci = Oci(400, "SIZE_INVALID")
    message = "The Content-Range '{given}' has {expected_bytes} bytes, but the body has {actual_bytes}."

    given: str
    expected_bytes: int
    actual_bytes: int


@dataclass(eq=False)
class LayerPartTooSmall(ApiError):
    """A part other than the last is below the service's minimum."""

    aws = "LayerPartTooSmallException"
    oci = Oci(400, "SIZE_INVALID")
    message = "The layer part {part} of upload '{upload}' has {size_bytes} bytes; all but the last need {minimum_bytes}."

    upload: str
    part: int
    size_bytes: int
    minimum_bytes: int


@dataclass(eq=False)
class LayerTooLarge(ApiError):
    """A blob above the layer limit."""

    aws = "LimitExceededException"
    oci = Oci(413, "SIZE_INVALID")
    message = "The layer is larger than the limit of {limit_bytes} bytes."

    limit_bytes: int


@dataclass(eq=False)
class EmptyUpload(ApiError):
    """CompleteLayerUpload before any part."""

    aws = "EmptyUploadException"
    oci = Oci(400, "BLOB_UPLOAD_INVALID")
    message = "The upload '{upload}' has no parts; upload at least one before completing it."

    upload: str


@dataclass(eq=False)
class InvalidLayer(ApiError):
    """The bytes that arrived have another digest than the one they were announced under."""

    aws = "InvalidLayerException"
    oci = Oci(400, "DIGEST_INVALID")
    message = "The digest '{given}' does not match the digest '{computed}' calculated for the uploaded bytes."

    given: str
    computed: str


@dataclass(eq=False)
class LayerAlreadyExists(ApiError):
    """CompleteLayerUpload of a layer the repository has: an error to the API, and harmless."""

    aws = "LayerAlreadyExistsException"
    oci = Oci(201, "")
    message = (
        "Layer with digest '{digest}' already exists in the repository with name '{repository}' in registry with id '{registry_id}'"
    )

    digest: str
    repository: str
    registry_id: str


@dataclass(eq=False)
class RangeNotSatisfiable(ApiError):
    """A byte range outside the blob."""

    aws = "InvalidParameterException"
    oci = Oci(416, "RANGE_INVALID")
    message = "The range '{given}' lies outside the blob, which has {size_bytes} bytes."

    given: str
    size_bytes: int

    @property
    @override
    def oci_headers(self) -> Mapping[str, str]:
        """How long the blob is, for the client to ask better (RFC 9110, section 15.5.17)."""
        return {"Content-Range": f"bytes */{self.size_bytes}"}


# --- the wire -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class InvalidPageSize(ApiError):
    """``n`` of a list that is no number of entries."""

    aws = "InvalidParameterException"
    oci = Oci(400, "PAGINATION_NUMBER_INVALID")
    message = "The page size n='{given}' must be a whole number of 0 or more."

    given: str


@dataclass(eq=False)
class RouteNotFound(ApiError):
    """A path that no endpoint answers."""

    aws = "UnknownOperationException"
    oci = Oci(404, "NAME_UNKNOWN")
    message = "No endpoint of the distribution API has the path '{path}'."

    path: str


@dataclass(eq=False)
class MethodNotAllowed(ApiError):
    """A path that is answered, but not to this method."""

    aws = "UnknownOperationException"
    oci = Oci(405, "UNSUPPORTED")
    message = "The method {method} is not allowed here; allowed are {allowed}."

    method: str
    allowed: str


# --- faults of the server -------------------------------------------------------------------------------------------


@dataclass(eq=False)
class ServerFault(ApiError):
    """A bug or a broken dependency; the request id leads to the log."""

    aws = "ServerException"
    oci = Oci(500, "UNKNOWN")
    message = "The server failed to answer; its log has more under this request id."
    aws_status = 500


@dataclass(eq=False)
class StorageFull(ApiError):
    """No room for the bytes or the row; nothing of the request was kept."""

    aws = "ServerException"
    oci = Oci(507, "UNAVAILABLE")
    message = "The registry has no storage space left for this request; nothing was changed. {remedy}"
    aws_status = 500

    remedy: str = "Free space on the volume of the registry, then try again."


@dataclass(eq=False)
class Unavailable(ApiError):
    """The database or the blob store does not answer."""

    aws = "ServerException"
    oci = Oci(503, "UNAVAILABLE")
    message = "The registry cannot reach its {what} now; try again."
    aws_status = 500

    what: str
