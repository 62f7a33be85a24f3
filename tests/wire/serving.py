"""The whole application in this process, its door reached without a socket."""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from starlette.types import ASGIApp, Message

from ecru.access import tokens
from ecru.access.bootstrap import Credentials
from ecru.access.principal import Principal
from ecru.app import create_app, read_key_ring
from ecru.blobs.memory import MemoryStore
from ecru.blobs.store import BlobStore
from ecru.metadata import repositories
from ecru.metadata.database import Database, Transaction, open_database
from ecru.oci.digest import Digest, digest_of
from ecru.oci.names import RepositoryName
from ecru.policy.arn import AccountId, Region, Registry, root_arn
from ecru.prepare import prepare
from ecru.rules.mutability import ExclusionFilter, Mutability
from ecru.settings import Settings

ACCOUNT = AccountId("000000000000")
REGION = Region("us-east-1")
HOME = Registry(ACCOUNT, REGION)
ROOT = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HOST = "registry.test:5050"


@dataclass
class Server:
    """An application that has started, and what a test needs to talk to it and to look behind it."""

    settings: Settings
    app: ASGIApp
    database: Database
    store: BlobStore

    def token(
        self,
        *,
        access_key_id: str = ROOT.access_key_id,
        account_id: AccountId = ACCOUNT,
        region: Region = REGION,
        now: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> str:
        """The password that ``aws ecr get-login-password`` would print."""
        principal = Principal(root_arn(account_id), account_id, account_id, access_key_id, ends_at)
        return tokens.issue(read_key_ring(self.settings), principal, region, now=now or datetime.now(UTC))[0]

    def http(self, *, authorization: str | None = "token", host: str = HOST) -> httpx.AsyncClient:
        """A client for raw requests; with a valid token unless another ``Authorization`` (or None) is given."""
        headers = {"Host": host}
        if authorization is not None:
            headers["Authorization"] = basic(self.token()) if authorization == "token" else authorization
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)

    async def create_repository(
        self,
        name: str,
        *,
        mutability: Mutability = Mutability.MUTABLE,
        filters: Sequence[str] = (),
        registry: Registry = HOME,
    ) -> None:
        """Make a repository, behind the doors."""

        def create(db: Transaction) -> None:
            repositories.create(
                db,
                registry,
                RepositoryName(name),
                mutability=mutability,
                exclusion_filters=[ExclusionFilter(each) for each in filters],
                scan_on_push=False,
                store="default",
                key_id="",
                now=datetime.now(UTC),
                limit=100,
            )

        await self.database.write(create)


def basic(token: str) -> str:
    """An ``Authorization`` header as docker sends it."""
    return "Basic " + base64.b64encode(f"AWS:{token}".encode()).decode()


async def prepared_folder(folder: Path) -> Path:
    """Prepare a data folder once, for copies of it to start from: migrating takes longer than most tests."""
    settings = settings_for(folder)
    await prepare(settings, now=datetime.now(UTC))
    return folder


def settings_for(folder: Path, **others: object) -> Settings:
    """Settings of a server whose root key the tests know."""
    return Settings.model_validate(
        {
            "data": folder,
            "root_access_key_id": ROOT.access_key_id,
            "root_secret_access_key": ROOT.secret_access_key,
            "access_log": False,
            **others,
        }
    )


@asynccontextmanager
async def serving(folder: Path, *, store: BlobStore | None = None, **others: object) -> AsyncIterator[Server]:
    """Start the application on a prepared data folder, and stop it at the end."""
    settings = settings_for(folder, **others)
    store = MemoryStore() if store is None else store
    app = create_app(settings, store=store)
    database = open_database(settings.database)
    try:
        async with _lifespan(app):
            yield Server(settings, app, database, store)
    finally:
        await database.close()


def copy_folder(prepared: Path, folder: Path) -> Path:
    """A data folder of one test's own."""
    return Path(shutil.copytree(prepared, folder, copy_function=shutil.copy2))


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Do what a server does with an ASGI application before the first request and after the last."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()

    async def run() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put)

    running = asyncio.create_task(run())
    for phase in ("startup", "shutdown"):
        await inbox.put({"type": f"lifespan.{phase}"})
        assert await outbox.get() == {"type": f"lifespan.{phase}.complete"}
        if phase == "startup":
            yield
    await running


async def push_blob(client: httpx.AsyncClient, repository: str, content: bytes) -> Digest:
    """Push a blob in one POST."""
    digest = digest_of(content)
    answer = await client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest}, content=content)
    assert answer.status_code == 201, answer.text
    return digest
