"""The way every request of ``/v2/`` takes.

::

    path ──► route ──► token ──► registry (host name, else token) ──► may the principal? ──► handler ──► answer

A principal is asked for its right on the repository's ARN before anything is looked up, so that what may not be seen does
not differ from what is not there.
"""

from datetime import UTC, datetime

import structlog

from ecru.access.authenticate import TokenReader
from ecru.access.authorize import may_any, require
from ecru.call import Call, Deployment, Endpoint
from ecru.distribution import blobs, manifests, referrers, tags, uploads  # noqa: F401 - they declare their routes
from ecru.distribution.challenge import authenticate, challenge, registry_of
from ecru.distribution.declare import Route, find_route
from ecru.distribution.exchange import Answer, Receive, Request, Scope, Send, as_json, send_answer
from ecru.errors import ApiError, ImageNotFound, InvalidRepositoryReference, MethodNotAllowed, Unauthenticated
from ecru.oci.names import InvalidRepositoryName, parse_repository_name
from ecru.policy.arn import repository_arn
from ecru.registry.faults import as_api_error
from ecru.telemetry.exchange import exchange_of

log = structlog.get_logger(__name__)


class Distribution:
    """The ASGI application of ``/v2/``."""

    def __init__(self, deployment: Deployment) -> None:
        """Answer for a deployment."""
        self._deployment = deployment
        self._reader = TokenReader(deployment.keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        exchange = exchange_of(scope)
        try:
            found, values = find_route(request)
            exchange.route = f"{found.method} {found.label}"
            answer = await self._answer(request, found, values)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the client gets an error of the specification
            answer = await answer_fault(request, fault)
        await send_answer(request, send, answer)

    async def _answer(self, request: Request, found: Route, values: dict[str, str]) -> Answer:
        deployment, exchange, now = self._deployment, exchange_of(request.scope), datetime.now(UTC)
        endpoint = request.endpoint
        principal, token = await authenticate(deployment, self._reader, request.headers.get("authorization"), now=now)
        exchange.principal = principal.arn
        registry = registry_of(deployment, endpoint, token)
        call = Call(deployment, principal, registry, now, exchange.request_id, endpoint)
        name = values.get("name")
        if name is not None:
            try:
                parse_repository_name(name)
            except InvalidRepositoryName as fault:
                raise InvalidRepositoryReference(str(fault)) from None
        # Not "*", which the root of any account may: the host name may have named another account's registry.
        resource = repository_arn(registry, "*" if name is None else name)
        if found.actions:
            (may_any if found.either else require)(principal, found.actions, resource)
        return await found.handler(request, call, **values)


async def answer_fault(request: Request, fault: Exception) -> Answer:
    """Turn a fault into an error of the specification; what is none of ours is logged, and told without its words."""
    known = as_api_error(fault)
    if known.oci.status >= 500:  # noqa: PLR2004 - the class of server faults
        log.error("request failed", path=request.path, method=request.method, exc_info=fault)
    exchange_of(request.scope).error = known.oci.code
    await request.drain()
    return _render(known, request.endpoint)


def _render(fault: ApiError, endpoint: Endpoint) -> Answer:
    status, code = fault.oci
    message = "Requested image not found" if isinstance(fault, ImageNotFound) else fault.text
    error: dict[str, object] = {"code": code, "message": message}
    if fault.detail is not None:
        error["detail"] = fault.detail
    headers = {"WWW-Authenticate": challenge(endpoint)} if isinstance(fault, Unauthenticated) else {}
    if isinstance(fault, MethodNotAllowed):
        headers["Allow"] = fault.allowed
    return as_json(status, {"errors": [error]}, {**headers, **fault.oci_headers})
