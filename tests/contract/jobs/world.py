"""A deployment with a clock of its own, and what clients do to it, without a door."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Table, func, select

from ecru.access.keys import new_server_key, parse_key_ring
from ecru.access.principal import Principal
from ecru.blobs import layout
from ecru.blobs.hashing import Hashing
from ecru.blobs.store import BlobStore, Location
from ecru.call import Call, Deployment, Endpoint
from ecru.jobs.declare import Job, Work
from ecru.metadata import accounts, blobs, images, repositories
from ecru.metadata.database import Database, Transaction
from ecru.metadata.pulls import PullTimes
from ecru.oci.digest import Digest, digest_of
from ecru.oci.media_types import OCI_MANIFEST
from ecru.oci.names import RepositoryName, Tag
from ecru.policy.arn import AccountId, Region, Registry, root_arn
from ecru.registry import blobs as registry_blobs
from ecru.registry import images as registry_images
from ecru.registry import uploads
from ecru.registry.uploads import Completed, Session
from ecru.rules.limits import Limits
from ecru.rules.mutability import Mutability
from tests.contract.holding import Held, HoldingDatabase
from tests.making import a_manifest

ACCOUNT = AccountId("000000000000")
REGION = Region("us-east-1")
HOME = Registry(ACCOUNT, REGION)
ROOT = Principal(root_arn(ACCOUNT), ACCOUNT, ACCOUNT, "AKIAIOSFODNN7EXAMPLE", None)

EXPIRY = timedelta(hours=24)
GRACE = timedelta(hours=12)
RETENTION = timedelta(days=7)
URL_LIFETIME = timedelta(minutes=20)
MOMENT = timedelta(microseconds=1)


@dataclass
class World:
    """What clients see and do; each action happens at ``now``, which a test moves on."""

    deployment: Deployment
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    repository_ids: dict[str, int] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """The database."""
        return self.deployment.database

    @property
    def store(self) -> BlobStore:
        """The only store."""
        return self.deployment.stores["default"]

    @property
    def call(self) -> Call:
        """A request of root's."""
        return Call(self.deployment, ROOT, HOME, self.now, "request", Endpoint("http", "registry.test"))

    def work(self, *, stopping: bool = False) -> Work:
        """What a job is given."""
        stop = asyncio.Event()
        if stopping:
            stop.set()
        return Work(self.deployment, lambda: self.now, stop)

    async def run(self, job: Job, *, stopping: bool = False) -> None:
        """Run a job that is not one transaction, to its end."""
        running = job.body(self.work(stopping=stopping))
        assert running is not None
        await running

    async def create_repository(self, name: str) -> None:
        """Make a repository."""

        def create(db: Transaction) -> int:
            accounts.create_account(db, ACCOUNT, now=self.now)
            made = repositories.create(
                db,
                HOME,
                RepositoryName(name),
                mutability=Mutability.MUTABLE,
                exclusion_filters=[],
                scan_on_push=False,
                store="default",
                key_id="",
                now=self.now,
                limit=100,
            )
            accounts.put_setting(db, HOME, registry_blobs.MOUNTING_SETTING, registry_blobs.ENABLED)
            return made.id

        self.repository_ids[name] = await self.database.write(create)

    async def begin(self, name: str) -> Session:
        """Open an upload."""
        return await self.database.write(uploads.begin, self.call, HOME, name)

    async def append(self, name: str, session: Session, content: bytes) -> Session:
        """Send bytes of an upload."""
        return await uploads.append(self.call, HOME, name, session.upload.id, pieces(content))

    async def complete(
        self, name: str, session: Session, digest: Digest, content: bytes | None = None, *, begun_here: bool = False
    ) -> Completed:
        """End an upload."""
        body = None if content is None else pieces(content)
        return await uploads.complete(self.call, HOME, name, session.upload.id, digest, body, begun_here=begun_here)

    async def push_blob(self, name: str, content: bytes) -> Digest:
        """Push a blob, in one request."""
        digest = digest_of(content)
        await self.complete(name, await self.begin(name), digest, content, begun_here=True)
        return digest

    async def push_manifest(self, name: str, manifest: bytes, *tags: str, media_type: str = OCI_MANIFEST) -> Digest:
        """Push a manifest whose blobs are there."""
        pushed = await registry_images.push(self.call, HOME, name, manifest, media_type, tags=[Tag(tag) for tag in tags])
        return pushed.digest

    async def push_image(self, name: str, *layers: bytes) -> Digest:
        """Push an image with all its blobs, the first of which is its config."""
        for layer in layers:
            await self.push_blob(name, layer)
        return await self.push_manifest(name, a_manifest(config=layers[0], layers=layers[1:]), f"tag-{secrets.token_hex(4)}")

    async def delete_image(self, name: str, digest: Digest) -> None:
        """Delete an image."""

        def delete(db: Transaction) -> None:
            repository = repositories.get(db, HOME, name, lock="change")
            image = images.find(db, repository.id, digest, lock=True)
            assert image is not None
            registry_images.delete(db, self.call, repository, image)

        await self.database.write(delete)

    async def mount(self, digest: Digest, *, source: str, target: str) -> bool:
        """Mount a blob of another repository."""
        return await self.database.write(registry_blobs.mount, self.call, HOME, target=target, source=source, digest=digest)

    async def has_blob(self, name: str, digest: Digest) -> bool:
        """Whether a repository serves a blob, bytes and all."""
        blob = await self.database.read(blobs.find, self.repository_ids[name], digest)
        if blob is None:
            return False
        content = b"".join([piece async for piece in self.store.read(blob.location)])
        assert digest_of(content) == digest, "a served blob is whole"
        return True

    async def locations(self) -> set[Location]:
        """Everything in the store."""
        return {stored.location async for stored in self.store.list(layout.EVERYTHING)}

    async def count(self, table: Table) -> int:
        """How many rows a table has."""
        rows: int = await self.database.read(lambda db: db.execute(select(func.count()).select_from(table)).scalar_one())
        return rows

    async def everything(self, *tables: Table) -> tuple[list[list[tuple[object, ...]]], set[Location]]:
        """All rows of the tables, and all locations, to compare."""

        def read(db: Transaction) -> list[list[tuple[object, ...]]]:
            return [sorted(tuple(row) for row in db.execute(select(table))) for table in tables]

        return await self.database.read(read), await self.locations()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """The content as a body arrives."""
    half = len(content) // 2
    for piece in (content[:half], content[half:]):
        if piece:
            yield piece


@asynccontextmanager
async def a_world(database: Database, store: BlobStore) -> AsyncIterator[World]:
    """A deployment on a migrated database and an empty store, with the repositories ``app`` and ``other``."""
    hashing = Hashing()
    deployment = Deployment(
        database=database,
        stores=MappingProxyType({store.name: store}),
        hashing=hashing,
        pulls=PullTimes(),
        keys=parse_key_ring(new_server_key()),
        limits=Limits(),
        home=HOME,
        regions=frozenset({REGION}),
        domain=None,
        upload_expiry=EXPIRY,
        collection_grace=GRACE,
        deleted_image_retention=RETENTION,
        url_lifetime=URL_LIFETIME,
        redirect_to_store=False,
    )
    world = World(deployment)
    try:
        await world.create_repository("app")
        await world.create_repository("other")
        yield world
    finally:
        hashing.close()


@asynccontextmanager
async def holding_change(world: World, action: Callable[[World], Coroutine[Any, Any, Any]]) -> AsyncIterator[Held]:
    """Keep the one transaction of an action open while the block runs; the action goes on at the end of the block."""
    held = Held(world.database)
    database = cast("Database", HoldingDatabase(world.database, held))
    task = asyncio.create_task(action(replace(world, deployment=replace(world.deployment, database=database))))
    try:
        await held.until_reached(task)
        yield held
    finally:
        held.let_go()
        await task


def restarted(world: World) -> World:
    """The same database and store, as another process sees them: it remembers no running hash."""
    return replace(world, deployment=replace(world.deployment, hashing=Hashing()))
