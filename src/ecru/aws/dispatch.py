"""The way every request of the AWS door takes.

::

    operation ──► claim ──► body ──► signature ──► input ──► may the principal? ──► handler ──► answer

JSON names the operation in a header. A Query request names it in its form, so that its body is read first. Both are read in
full before anything is done, since the signature covers them; by then the access key has been looked up, so that bodies of
nobody are not waited for.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ecru.access.authorize import require
from ecru.aws import json_rpc, query
from ecru.aws.authentication import Claim, prove, read_claim
from ecru.aws.body import Bodies, Incoming
from ecru.aws.ecr import authorization, images, layers, repositories, resource_tags, settings  # noqa: F401 - they declare
from ecru.aws.faults import read_input
from ecru.aws.model import Operation, Service, load
from ecru.aws.operation import find_declared
from ecru.aws.sts import identity  # noqa: F401 - the same
from ecru.call import Call, Deployment, Endpoint
from ecru.errors import ApiError, NotBuilt
from ecru.policy.arn import Region, Registry
from ecru.registry.faults import as_api_error
from ecru.sigv4.canonical import HttpRequest
from ecru.telemetry.exchange import exchange_of

SERVICES = ("ecr", "ecr-public", "sts")

_HELD_BODIES_BYTES = 64 * 2**20
# Up to this size a document is read in less time than it costs to change the thread.
_BYTES_INLINE = 64 * 2**10
# What a page has unless the client asks for more: 0.3 ms of work, less than it costs to change the thread.
_ROWS_INLINE = 100

# Where clients sign for, whatever region they are configured for: ECR Public, and the global endpoint of STS.
_GLOBAL_REGION = Region("us-east-1")
_GLOBAL_SERVICES = frozenset({"ecr-public", "sts"})

log = structlog.get_logger(__name__)


class Aws:
    """The ASGI application of ``/``."""

    def __init__(self, deployment: Deployment) -> None:
        """Answer for a deployment."""
        self._deployment = deployment
        self._services = [load(name) for name in SERVICES]
        self._bodies = Bodies(_HELD_BODIES_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        incoming = Incoming(receive, request.headers.get("content-length"))
        answer = self._answer_json if _speaks_json(request) else self._answer_query
        try:
            response = await answer(request, incoming)
            await incoming.drain()
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer_json(self, request: Request, incoming: Incoming) -> Response:
        request_id = exchange_of(request.scope).request_id
        try:
            service, operation = json_rpc.find_operation(self._services, request.headers.get("x-amz-target", ""))
            exchange_of(request.scope).route = f"{service.name}:{operation.name}"
            raw = _raw(request)
            claim = await read_claim(self._deployment, raw)
            async with self._bodies.receive(incoming, json_rpc.body_limit(operation)) as (body, body_sha256):
                call = self._prove(request, claim, replace(raw, body_sha256=body_sha256), service)
                inputs = await _read_json(service, operation, body)
                return json_rpc.answer(await _run(call, service, operation, inputs), request_id)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the client gets an error of the protocol
            return json_rpc.refuse(_told(fault, request), request_id)

    async def _answer_query(self, request: Request, incoming: Incoming) -> Response:
        request_id = exchange_of(request.scope).request_id
        service = next(service for service in self._services if service.protocol == "query")
        try:
            raw = _raw(request)
            claim = await read_claim(self._deployment, raw)
            async with self._bodies.receive(incoming, query.BODY_LIMIT_BYTES) as (body, body_sha256):
                form = query.read_form(request.scope["query_string"] if request.method == "GET" else bytes(body))
                service, operation = query.find_operation(self._services, form)
                exchange_of(request.scope).route = f"{service.name}:{operation.name}"
                call = self._prove(request, claim, replace(raw, body_sha256=body_sha256), service)
                inputs = read_input(service, operation, query.read_document(service, operation, form))
                return query.answer(service, operation, await _run(call, service, operation, inputs), request_id)
        except Exception as fault:  # noqa: BLE001 - the same
            return query.refuse(service, _told(fault, request), request_id)

    def _prove(self, request: Request, claim: Claim, raw: HttpRequest, service: Service) -> Call:
        """Find out who calls, and which registry the call is for: the principal's, in the region it signed for."""
        deployment, exchange, now = self._deployment, exchange_of(request.scope), datetime.now(UTC)
        regions = deployment.regions | {_GLOBAL_REGION} if service.name in _GLOBAL_SERVICES else deployment.regions
        principal = prove(deployment, claim, raw, service=service.signing_name, regions=regions, now=now)
        exchange.principal = principal.arn
        region = Region(claim.signed.scope.region)
        registry = Registry(principal.account_id, region if region in deployment.regions else deployment.home.region)
        endpoint = Endpoint(request.scope["scheme"], request.headers.get("host", "localhost"))
        return Call(deployment, principal, registry, now, exchange.request_id, endpoint)


async def _read_json(service: Service, operation: Operation, body: bytearray) -> dict[str, Any]:
    """Read the input; a large one, a manifest or a part of a layer, in a thread, since others wait.

    Raises:
        NotSerializable, InvalidInput: it cannot be read, or breaks the model.
    """

    def read() -> dict[str, Any]:
        return read_input(service, operation, json_rpc.read_document(body))

    return read() if len(body) <= _BYTES_INLINE else await asyncio.to_thread(read)


async def _run(call: Call, service: Service, operation: Operation, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Do what was asked, for a principal that may, and write the answer along the output shape.

    Raises:
        NotBuilt: nobody has declared the operation.
        AccessDenied: the principal may not.
    """
    declared = find_declared(service.name, operation.name)
    if declared is None:
        raise NotBuilt(f"The operation {operation.action}")
    for resource in declared.resource(call, inputs):
        require(call.principal, declared.actions, resource)
    database = call.deployment.database
    if not declared.takes_transaction:
        answer = await declared.handler(call, **inputs)
    elif declared.writes:
        answer = await database.write(declared.handler, call, **inputs)
    else:
        apart = declared.long and inputs.get("max_results", 0) > _ROWS_INLINE
        answer = await (database.read_long if apart else database.read_snapshot)(declared.handler, call, **inputs)
    rendered: dict[str, Any] = operation.render({} if answer is None else answer)
    return rendered


def _speaks_json(request: Request) -> bool:
    content_type = request.headers.get("content-type", "")
    return "x-amz-target" in request.headers or content_type.startswith("application/x-amz-json")


def _raw(request: Request) -> HttpRequest:
    """The request as it was signed; the hash of its body comes later."""
    scope = request.scope
    return HttpRequest(
        method=scope["method"],
        path=(scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
        body_sha256="",
    )


def _told(fault: Exception, request: Request) -> ApiError:
    """What the client is told of a fault; those of the server go to the log.

    Raises:
        ClientDisconnect: there is nobody to tell.
    """
    if isinstance(fault, ClientDisconnect):
        raise fault
    known = as_api_error(fault)
    exchange = exchange_of(request.scope)
    exchange.error = known.aws
    if known.aws_status >= 500:  # noqa: PLR2004 - the class of server faults
        log.error("request failed", route=exchange.route, exc_info=fault)
    return known
