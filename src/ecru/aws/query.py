"""The Query protocol of STS and IAM: input as a form, output as XML.

A form names the place of each value: ``Tags.member.1.Key=team``; an empty list is its name with no value. The model says what
is a list, a structure or a number, so a form is read along the input shape and becomes the document that JSON would have been.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from ecru.aws.faults import NotSerializable, UnknownOperation
from ecru.aws.model import Operation, Service, Shape
from ecru.errors import ApiError

MEDIA_TYPE = "text/xml"

# The largest input of STS is a SAML assertion of 100,000 characters.
BODY_LIMIT_BYTES = 2**20
MEMBER_LIMIT = 1_000
_DEPTH_LIMIT = 16

# Form values by the place they stand at: {"Tags": {"member": {"1": {"Key": "team"}}}}
_Tree = dict[str, Any]

# The door's common errors have other names and statuses in Query services. Source: their lists of common errors.
_COMMON_ERRORS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "AccessDeniedException": ("AccessDenied", 403),
        "ExpiredTokenException": ("ExpiredToken", 403),
        "IncompleteSignatureException": ("IncompleteSignature", 400),
        "InvalidParameterException": ("ValidationError", 400),
        "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
        "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
        "RequestEntityTooLargeException": ("RequestEntityTooLarge", 413),
        "RequestTimeoutException": ("RequestTimeout", 408),
        "SerializationException": ("MalformedInput", 400),
        "ServerException": ("InternalFailure", 500),
        "ThrottlingException": ("Throttling", 400),
        "UnknownOperationException": ("InvalidAction", 400),
        "UnrecognizedClientException": ("InvalidClientTokenId", 403),
        "ValidationException": ("ValidationError", 400),
    }
)


class MissingAction(UnknownOperation):
    """The form has no ``Action``."""

    aws = "MissingAction"


def read_form(encoded: bytes) -> dict[str, str]:
    """Read a form body or query string; of a name given twice the last value counts.

    Raises:
        NotSerializable: it is no form in UTF-8, or it has more members than any request has.
    """
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MEMBER_LIMIT)
    except ValueError as error:
        raise NotSerializable(f"The request is not a form: {error}") from None
    return dict(pairs)


def find_operation(services: Iterable[Service], form: Mapping[str, str]) -> tuple[Service, Operation]:
    """Find what ``Action`` and ``Version`` name.

    Raises:
        MissingAction: there is no ``Action``.
        UnknownOperation: no service of that version has such an operation.
    """
    action, version = form.get("Action"), form.get("Version", "")
    if not action:
        raise MissingAction("The request has no Action.")
    for service in services:
        if service.protocol == "query" and service.api_version == version and action in service.operations:
            return service, service.operations[action]
    raise UnknownOperation(f"Could not find operation {action[:256]} for version {version[:256]}")


def read_document(service: Service, operation: Operation, form: Mapping[str, str]) -> dict[str, Any]:
    """Arrange a form along the operation's input shape; members the shape does not have are ignored.

    Raises:
        NotSerializable: two members contradict each other, or one is nested too deep.
    """
    if operation.input_shape is None:
        return {}
    document: dict[str, Any] = _arrange(service.shapes, operation.input_shape, _grow(form))
    return document


def _grow(form: Mapping[str, str]) -> _Tree:
    tree: _Tree = {}
    for name, value in form.items():
        *branches, leaf = name.split(".", _DEPTH_LIMIT)
        if "." in leaf:
            raise NotSerializable(f"The member '{name[:256]}' is nested too deep.")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
            if not isinstance(place, dict):
                raise NotSerializable(f"The member '{name[:256]}' contradicts another one.")
        if leaf in place:
            raise NotSerializable(f"The member '{name[:256]}' contradicts another one.")
        place[leaf] = value
    return tree


def _arrange(shapes: Mapping[str, Shape], name: str, found: _Tree | str) -> Any:  # noqa: ANN401, PLR0911 - a wire value; one per type
    """Arrange what was found for a shape; what does not fit is passed on, and the check of the shape refuses it."""
    shape = shapes[name]
    match shape["type"], found:
        case "structure", dict():
            members: Mapping[str, Shape] = shape["members"]
            return {wire: _arrange(shapes, members[wire]["shape"], value) for wire, value in found.items() if wire in members}
        case "structure", "":
            return {}
        case "list", dict():
            return [_arrange(shapes, shape["member"]["shape"], value) for value in _numbered(found.get("member"))]
        case "list", "":
            return []
        case "map", dict():
            return {
                entry["key"]: _arrange(shapes, shape["value"]["shape"], entry["value"])
                for entry in _numbered(found.get("entry"))
                if isinstance(entry, dict) and entry.keys() >= {"key", "value"} and isinstance(entry["key"], str)
            }
        case "integer" | "long", str() if _WHOLE_NUMBER.fullmatch(found):
            return int(found)
        case "boolean", "true" | "false":
            return found == "true"
        case _:
            return found


_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")


def _numbered(found: object) -> Iterator[Any]:
    """Yield the values of ``….1``, ``….2`` in the order of their numbers; gaps do not count."""
    if isinstance(found, dict):
        for number in sorted((number for number in found if _WHOLE_NUMBER.fullmatch(number)), key=int):
            yield found[number]


def answer(service: Service, operation: Operation, document: Mapping[str, Any], request_id: str) -> Response:
    """Write the answer of an operation that succeeded."""
    written = _write(service.shapes, operation.output_shape, document) if operation.output_shape else ""
    if operation.result_wrapper:
        written = _element(operation.result_wrapper, written)
    metadata = _element("ResponseMetadata", _element("RequestId", _text(request_id)))
    body = _element(f"{operation.name}Response", written + metadata, service.xml_namespace)
    return _response(200, body, request_id)


def refuse(service: Service, error: ApiError, request_id: str) -> Response:
    """Write an error: with the code and status the model gives it, else with those common to Query services."""
    modelled = service.errors.get(error.aws)
    if modelled is not None:
        code, status = modelled.code, modelled.status
    else:
        code, status = _COMMON_ERRORS.get(error.aws, (error.aws, error.aws_status))
    blamed = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own border
    written = _element("Type", blamed) + _element("Code", _text(code)) + _element("Message", _text(error.text))
    content = _element("Error", written) + _element("RequestId", _text(request_id))
    return _response(status, _element("ErrorResponse", content, service.xml_namespace), request_id)


def _write(shapes: Mapping[str, Shape], name: str, value: Any) -> str:  # noqa: ANN401 - a wire value
    shape = shapes[name]
    match shape["type"]:
        case "structure":
            members = shape["members"]
            return "".join(_element(wire, _write(shapes, members[wire]["shape"], item)) for wire, item in value.items())
        case "list":
            return "".join(_element("member", _write(shapes, shape["member"]["shape"], item)) for item in value)
        case "map":
            return "".join(
                _element("entry", _element("key", _text(key)) + _element("value", _write(shapes, shape["value"]["shape"], item)))
                for key, item in value.items()
            )
        case "timestamp":
            return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "boolean":
            return "true" if value else "false"
        case _:
            return _text(str(value))


def _element(name: str, content: str, namespace: str | None = None) -> str:
    return f'<{name} xmlns="{namespace}">{content}</{name}>' if namespace else f"<{name}>{content}</{name}>"


def _text(text: str) -> str:
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text), {"\r": "&#13;"})


# https://www.w3.org/TR/xml/#charsets: what an XML 1.0 document cannot hold, escaped or not.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _response(status: int, body: str, request_id: str) -> Response:
    return Response(body, status, {"x-amzn-RequestId": request_id}, media_type=MEDIA_TYPE)
