"""Signed download URLs of layers (``GetDownloadUrlForLayer``) that this server answers itself, where no object store does."""

from datetime import UTC, datetime

from ecru.access import urls
from ecru.call import Deployment
from ecru.distribution.blobs import serve
from ecru.distribution.exchange import Answer, Receive, Request, Scope, Send, send_answer
from ecru.distribution.routes import answer_fault
from ecru.errors import InvalidDownloadUrl, MethodNotAllowed
from ecru.registry import blobs as registry_blobs
from ecru.telemetry.exchange import exchange_of


class Downloads:
    """The ASGI application of ``/downloads/``."""

    def __init__(self, deployment: Deployment) -> None:
        """Answer for a deployment."""
        self._deployment = deployment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        exchange_of(scope).route = "GET /downloads/{layer}"
        try:
            answer = await self._answer(request)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the client gets an error of the specification
            answer = await answer_fault(request, fault)
        await send_answer(request, send, answer)

    async def _answer(self, request: Request) -> Answer:
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(request.method, "GET, HEAD")
        query = {name: values[0] for name, values in request.query.items()}
        try:
            wanted = urls.parse(self._deployment.keys, request.path, query, now=datetime.now(UTC))
        except urls.InvalidUrl as fault:
            raise InvalidDownloadUrl(str(fault)) from None
        layer, store = await registry_blobs.find_whole(self._deployment, wanted.registry, wanted.repository, wanted.digest)
        return serve(request, layer, store)
