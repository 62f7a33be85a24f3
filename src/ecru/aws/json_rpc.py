"""AWS JSON 1.1: the operation is in ``X-Amz-Target``, input and output are JSON documents.

https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from starlette.responses import Response

from ecru.aws.faults import NotSerializable, UnknownOperation
from ecru.aws.model import Operation, Service
from ecru.errors import ApiError

MEDIA_TYPE = "application/x-amz-json-1.1"

# Of any other operation: some hundred identifiers, or a policy.
SMALL_BODY_LIMIT_BYTES = 2**20
# The largest document but one is a manifest of 4 MiB in a JSON string, where escapes make six bytes of a letter's two.
MANIFEST_BODY_LIMIT_BYTES = 13 * 2**20
# A part of at most 20 MiB is base64 in its document: four characters for three bytes, and room for the other members.
PART_BODY_LIMIT_BYTES = 28 * 2**20
_LARGE_BODIES = MappingProxyType({"PutImage": MANIFEST_BODY_LIMIT_BYTES, "UploadLayerPart": PART_BODY_LIMIT_BYTES})
# In strings too. The parser lets nobody else run: a million empty lists would take half a second of everybody's time.
MOST_BRACKETS = 250_000


def body_limit(operation: Operation) -> int:
    """How many bytes of a request for this operation are read."""
    return _LARGE_BODIES.get(operation.name, SMALL_BODY_LIMIT_BYTES)


def find_operation(services: Iterable[Service], target: str) -> tuple[Service, Operation]:
    """Find what ``X-Amz-Target`` names: ``{prefix of the service}.{operation}``.

    Raises:
        UnknownOperation: no service has that prefix, or it has no such operation.
    """
    prefix, _, name = target.rpartition(".")
    for service in services:
        if service.target_prefix == prefix and name in service.operations:
            return service, service.operations[name]
    raise UnknownOperation(f"'{target[:256]}' names no operation of a service that is served here.")


def read_document(body: bytearray) -> dict[str, Any]:
    """Read the input; an empty body is an empty document. The body is given up, since a part of a layer is large.

    Raises:
        NotSerializable: the body is no JSON object in UTF-8, or nests too deep or has too many parts to be read.
    """
    if not body:
        return {}
    if body.count(b"[") + body.count(b"{") > MOST_BRACKETS:
        raise NotSerializable(f"The body has more than {MOST_BRACKETS} lists and structures.")
    try:
        text = body.decode()
        body.clear()
        document = json.loads(text, parse_constant=_refuse_constant)
    # INVARIANT: depth is bounded by the interpreter's recursion limit, which the JSON scanner obeys; checks descend only
    # as far as the model does.
    except (ValueError, RecursionError) as error:
        raise NotSerializable(f"The body is not a JSON document in UTF-8: {error}") from None
    if not isinstance(document, dict):
        raise NotSerializable("The body is not a JSON object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def answer(document: Mapping[str, Any], request_id: str) -> Response:
    """Write the answer of an operation that succeeded."""
    return _response(200, document, {"x-amzn-RequestId": request_id})


def refuse(error: ApiError, request_id: str) -> Response:
    """Write an error.

    botocore reads the code from ``__type`` only, the SDKs for Go and Java from the header first: both are sent.
    """
    document = {"__type": error.aws, "message": error.text, **error.aws_members}
    return _response(error.aws_status, document, {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": error.aws})


def _response(status: int, document: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return Response(body, status, headers, media_type=MEDIA_TYPE)
