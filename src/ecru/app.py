"""The application, put together: the one place that knows settings, edges and doors.

What opens files, connections or threads is opened by the lifespan, in the process that answers, after it was forked.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ecru.access.keys import KeyRing, parse_key_ring
from ecru.aws.dispatch import Aws
from ecru.blobs.hashing import Hashing
from ecru.blobs.opening import Keys, open_blobs
from ecru.blobs.store import BlobStore, StoreFull
from ecru.call import Deployment
from ecru.distribution.downloads import Downloads
from ecru.distribution.routes import Distribution
from ecru.metadata import uploads
from ecru.metadata.database import Database, open_database
from ecru.metadata.pulls import PullTimes
from ecru.policy.arn import Registry
from ecru.private_files import read_private
from ecru.rules.forwarded import Networks, is_local, read_forwarded
from ecru.rules.limits import Limits
from ecru.settings import BlobDelivery, MetricsAccess, Settings
from ecru.telemetry import logs, metrics
from ecru.telemetry.exchange import Exchange, Observed, exchange_of

READY_SECONDS: Final = 1.0
"""How long an answer of ``/readyz`` is given again without looking, so that asking often costs little."""
CHECK_SECONDS: Final = 3.0
SAMPLE_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


def create_app(settings: Settings, *, store: BlobStore | None = None) -> ASGIApp:
    """Put the application together; nothing is opened before its lifespan begins.

    Args:
        settings: as the operator has them.
        store: where blobs are kept, instead of what the settings name.
    """
    request_metrics = metrics.RequestMetrics()
    watchers: list[Callable[[Exchange], None]] = [request_metrics.add]

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            deployment = await stack.enter_async_context(open_deployment(settings, store=store))
            await stack.enter_async_context(_sampled(deployment.database))
            await stack.enter_async_context(deployment.pulls.being_written(deployment.database))
            if settings.access_log:
                request_log = stack.enter_context(logs.RequestLog(_request_line(settings), sys.stderr))
                watchers.append(request_log.add)
            router.routes.extend(_routes(settings, deployment))
            yield

    def answered(exchange: Exchange) -> None:
        for watch in watchers:
            watch(exchange)

    router = Router(lifespan=lifespan, redirect_slashes=False)
    app: ASGIApp = Observed(router, answered)
    return _behind_proxies(app, settings.trusted_proxies) if settings.trusted_proxies else app


@asynccontextmanager
async def open_deployment(settings: Settings, *, store: BlobStore | None = None) -> AsyncIterator[Deployment]:
    """Open what a web worker or job worker works with, and close it at the end.

    Args:
        settings: as the operator has them.
        store: where blobs are kept, instead of what the settings name; it is not closed.
    """
    async with AsyncExitStack() as stack:
        keys = read_key_ring(settings)
        database = open_database(settings.database)
        stack.push_async_callback(database.close)
        if store is None:
            store = open_store(settings)
            stack.push_async_callback(store.close)
        hashing = Hashing()
        stack.callback(hashing.close)
        yield Deployment(
            database=database,
            stores=MappingProxyType({store.name: store}),
            hashing=hashing,
            pulls=PullTimes(),
            keys=keys,
            limits=_limits(settings),
            home=Registry(settings.account, settings.region),
            regions=frozenset(settings.regions),
            domain=settings.domain,
            upload_expiry=settings.upload_expiry,
            collection_grace=settings.collection_grace,
            deleted_image_retention=settings.deleted_image_retention,
            url_lifetime=settings.blob_url_lifetime,
            redirect_to_store=settings.blob_delivery is BlobDelivery.REDIRECT,
        )


def read_key_ring(settings: Settings) -> KeyRing:
    """Read the server keys that the settings hold or name.

    Raises:
        InvalidServerKey: what is there is no key.
        FileNotFoundError: nothing is there.
        ReadableByOthers: the file can be read by others.
    """
    if settings.server_key is not None:
        return parse_key_ring(settings.server_key.get_secret_value())
    return parse_key_ring(read_private(settings.server_key_file or own_server_key_file(settings)))


def own_server_key_file(settings: Settings) -> Path:
    """Where the server key lies that the first start makes, unless the settings say otherwise."""
    return settings.data / "server.key"


def open_store(settings: Settings) -> BlobStore:
    """Open the blob store that the settings name.

    Raises:
        InvalidStoreUrl: the URL is not understood.
        StoreUnavailable: the folder cannot be made.
    """
    secret = settings.blobs_secret_access_key
    keys = Keys(settings.blobs_access_key_id, secret.get_secret_value()) if settings.blobs_access_key_id and secret else None
    return open_blobs(settings.blobs, keys=keys)


async def check_store(store: BlobStore) -> None:
    """Look whether a store can be used; one that is full can: for pulls, and for deleting what it is full of.

    Raises:
        StoreUnavailable: it cannot.
    """
    try:
        await store.check()
    except StoreFull as full:
        log.warning("no space is left for blobs", reason=str(full))


def _limits(settings: Settings) -> Limits:
    return Limits(
        repositories_per_registry=settings.maximum_repositories,
        images_per_repository=settings.maximum_images_per_repository,
        tags_per_image=settings.maximum_tags_per_image,
        layer_bytes=settings.maximum_layer_bytes,
    )


# --- routes ---------------------------------------------------------------------------------------------------------


def _routes(settings: Settings, deployment: Deployment) -> list[Route]:
    distribution = Distribution(deployment)
    routes = [
        Route("/v2/{rest:path}", distribution),
        Route("/v2", distribution),
        Route("/", Aws(deployment)),
        Route("/downloads/{rest:path}", Downloads(deployment)),
        Route("/healthz", _healthz),
        Route("/readyz", _readyz(deployment)),
    ]
    if settings.metrics is not MetricsAccess.OFF:
        routes.append(Route("/metrics", _metrics(deployment.database, only_local=settings.metrics is MetricsAccess.LOOPBACK)))
    return routes


async def _healthz(request: Request) -> Response:
    exchange_of(request.scope).route = "/healthz"
    return PlainTextResponse("ok\n")


def _readyz(deployment: Deployment) -> Callable[[Request], Awaitable[Response]]:
    """Answer whether database and blobs can be reached, and nothing else: the reason of a no is in the log."""
    readiness = Readiness(deployment)

    async def answer(request: Request) -> Response:
        exchange_of(request.scope).route = "/readyz"
        ready = await readiness.find()
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503, {"Cache-Control": "no-store"})

    return answer


def _metrics(database: Database, *, only_local: bool) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        exchange_of(request.scope).route = "/metrics"
        if only_local and not is_local(request.headers.raw, request.client.host if request.client else ""):
            return PlainTextResponse("metrics are only for this machine; the setting is: metrics\n", 403)
        metrics.UPLOADS_OPEN.set(await database.read(uploads.count_open))
        text = await asyncio.to_thread(metrics.render)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    return answer


class Readiness:
    """Whether database and blobs can be reached: looked at when asked, by one request at a time, and at most once a second."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._looking = asyncio.Lock()
        self._ready = False
        self._looked_at = -READY_SECONDS

    async def find(self) -> bool:
        """Look, unless somebody has just done so; takes a bounded time."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= READY_SECONDS:
                self._ready = await self._look()
                self._looked_at = time.monotonic()
        return self._ready

    async def _look(self) -> bool:
        checks = [self._deployment.database.check(), *(check_store(store) for store in self._deployment.stores.values())]
        try:
            await asyncio.wait_for(asyncio.gather(*checks), CHECK_SECONDS)
        except Exception as failed:  # noqa: BLE001 - whatever it is, we are not ready
            log.warning("not ready", reason=str(failed) or type(failed).__name__)
            return False
        return True


# --- what is seen from outside --------------------------------------------------------------------------------------


@asynccontextmanager
async def _sampled(database: Database) -> AsyncIterator[None]:
    """Look at what has no event of its own, such as the length of a queue."""

    async def sample() -> None:
        while True:
            metrics.WRITER_QUEUE.set(database.pending_writes)
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample())
    try:
        yield
    finally:
        sampling.cancel()


def _request_line(settings: Settings) -> Callable[[Exchange], str]:
    return logs.request_as_json if settings.json_lines else logs.request_for_people


def _behind_proxies(app: ASGIApp, trusted: Networks) -> ASGIApp:
    """Have the doors find in ``client``, ``scheme`` and the ``Host`` header what trusted proxies say of them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            forwarded = read_forwarded(scope["headers"], peer, trusted)
            if forwarded.client is not None:
                scope["client"] = (forwarded.client, port if forwarded.client == peer else 0)
            if forwarded.scheme is not None:
                scope["scheme"] = forwarded.scheme
            if forwarded.host is not None:
                others = [(name, value) for name, value in scope["headers"] if name != b"host"]
                scope["headers"] = [(b"host", forwarded.host.encode("latin-1")), *others]
        await app(scope, receive, send)

    return answer
