"""What the AWS door itself refuses: requests that name no operation, cannot be read, or break the model.

The words of a broken constraint come in two families (AWS publishes neither):

- the framework's: ``1 validation error detected: Value '…' at '…' failed to satisfy constraint: Member must …``
- ECR's own: ``Invalid parameter at '…' failed to satisfy constraint: '…'``, for one fault of a kind named in ``_OWN_WORDS``
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ecru.aws.model import Fault, Kind, Operation, Service
from ecru.errors import ApiError, Oci

COMMON_ERRORS = frozenset(
    {
        "AccessDeniedException",
        "IncompleteSignatureException",
        "InvalidParameterException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestEntityTooLargeException",
        "RequestTimeoutException",
        "SerializationException",
        "ServerException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "UnsupportedOperationException",
    }
)
"""What any operation may answer beside the errors of its model."""

# Where a service words a broken constraint itself, how: {pattern} and {constraint} are the model's.
# Source: messages of the service quoted in public issues for repositoryName and imageTag (pattern), appliedFor (enumeration);
# the other members are assumed to read alike.
_OWN_WORDS: Mapping[str, Mapping[Kind, str]] = MappingProxyType(
    {
        "ecr": {Kind.PATTERN: "must satisfy regular expression '{pattern}'", Kind.ENUM: "{constraint}"},
        "ecr-public": {Kind.PATTERN: "must satisfy regular expression '{pattern}'", Kind.ENUM: "{constraint}"},
    }
)
_PATTERN_CONSTRAINT = "Member must satisfy regular expression pattern: "

_SHOWN_LENGTH = 256
_SHOWN_FAULTS = 10


@dataclass(eq=False)
class UnknownOperation(ApiError):
    """The request names no operation of a service that is served here."""

    aws = "UnknownOperationException"
    oci = Oci(400, "UNSUPPORTED")
    message = "{reason}"

    reason: str


@dataclass(eq=False)
class NotSerializable(ApiError):
    """The body is not what its content type says, or a member has another JSON type than the model's."""

    aws = "SerializationException"
    oci = Oci(400, "UNSUPPORTED")
    message = "{reason}"

    reason: str


@dataclass(eq=False)
class RequestTooLarge(ApiError):
    """The body is larger than any valid request of that operation."""

    aws = "RequestEntityTooLargeException"
    oci = Oci(413, "SIZE_INVALID")
    message = "The request body is larger than the {limit_bytes} bytes that are read of it."
    aws_status = 413

    limit_bytes: int


@dataclass(eq=False)
class RequestTimeout(ApiError):
    """The body did not arrive in time."""

    aws = "RequestTimeoutException"
    oci = Oci(408, "UNSUPPORTED")
    message = "The request body did not arrive within {seconds} seconds."
    aws_status = 408

    seconds: int


@dataclass(eq=False)
class InvalidInput(ApiError):
    """Members of the request break constraints of the model.

    Every operation of ECR that has members models this error; ``ValidationException`` is for rules that are not in the model.
    """

    aws = "InvalidParameterException"
    oci = Oci(400, "UNSUPPORTED")
    message = "{reason}"

    reason: str


def read_input(service: Service, operation: Operation, document: object) -> dict[str, Any]:
    """Check a request's document against the model and turn it into the keywords of the handler.

    Raises:
        NotSerializable: a value has the wrong type.
        InvalidInput: a constraint is broken; the text names all that are.
    """
    faults: list[Fault] = []
    keywords: dict[str, Any] = operation.check(document, "", faults)
    if not faults:
        return keywords
    for fault in faults:
        if fault.kind is Kind.TYPE:
            raise NotSerializable(f"{_shown(fault.value)} at '{fault.path}' cannot be read: {fault.constraint}")
    raise InvalidInput(word_faults(service, faults))


def word_faults(service: Service, faults: Sequence[Fault]) -> str:
    """Say what is wrong, as the service would."""
    if len(faults) == 1:
        (fault,) = faults
        own_words = _OWN_WORDS.get(service.name, {}).get(fault.kind)
        if own_words is not None:
            pattern = fault.constraint.removeprefix(_PATTERN_CONSTRAINT)
            constraint = own_words.format(pattern=pattern, constraint=fault.constraint)
            return f"Invalid parameter at '{fault.path}' failed to satisfy constraint: '{constraint}'"
    listed = "; ".join(
        f"Value {_shown(fault.value)} at '{fault.path}' failed to satisfy constraint: {fault.constraint}"
        for fault in faults[:_SHOWN_FAULTS]
    )
    return f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: {listed}"


def _shown(value: object) -> str:
    """Show a value in a bounded number of characters."""
    match value:
        case None:
            return "null"
        case list() | dict():
            return f"(with {len(value)} entries)"
        case str():
            text = value if len(value) <= _SHOWN_LENGTH else value[:_SHOWN_LENGTH] + "…"
            return f"'{text.encode(errors='replace').decode()}'"
        case _:
            return f"'{str(value)[:_SHOWN_LENGTH]}'"
