"""A deployment that a test starts, ends and starts again on the same data."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ecru.access import tokens
from ecru.access.principal import Principal
from ecru.app import read_key_ring
from ecru.metadata import repositories
from ecru.metadata.database import Transaction, open_database
from ecru.oci.names import RepositoryName
from ecru.policy.arn import root_arn
from ecru.rules.mutability import Mutability
from ecru.settings import Settings
from tests import programs
from tests.programs import ECRU, Program
from tests.servers import wait_for
from tests.wire.serving import ACCOUNT, HOME, REGION, ROOT, basic, settings_for

REPOSITORY = "team/app"


@dataclass
class Deployment:
    """Where the data is, and how the server is started on it."""

    folder: Path
    arguments: Sequence[object] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    """The URL of the database; None for SQLite in the data folder."""

    @property
    def data(self) -> Path:
        """The data folder of the server."""
        return self.folder / "data"

    @property
    def blobs(self) -> Path:
        """Where a folder store keeps its blobs."""
        return self.data / "blobs"

    @property
    def settings(self) -> Settings:
        """What the server was started with, as far as tests need it to look behind its doors."""
        others = {} if self.database is None else {"database": self.database}
        return settings_for(self.data, **others)

    def start(self, *arguments: object, command: Sequence[str | Path] = ECRU) -> Program:
        """Start the server and wait until it is ready; the caller ends it."""
        root = {
            "ECRU_ROOT_ACCESS_KEY_ID": ROOT.access_key_id,
            "ECRU_ROOT_SECRET_ACCESS_KEY": ROOT.secret_access_key,
            "ECRU_ACCESS_LOG": "false",
        }
        where = [] if self.database is None else ["--database", self.database]
        program = programs.start(
            self.folder, *where, *self.arguments, *arguments, environment={**root, **self.environment}, command=command
        )
        try:
            wait_for(lambda: program.get("/readyz").is_success, "ecru to be ready")
        except BaseException:
            program.kill()
            raise
        return program

    def authorization(self) -> str:
        """The ``Authorization`` header of a client that has logged in."""
        principal = Principal(root_arn(ACCOUNT), ACCOUNT, ACCOUNT, ROOT.access_key_id, None)
        return basic(tokens.issue(read_key_ring(self.settings), principal, REGION, now=datetime.now(UTC))[0])

    def create_repository(self, name: str = REPOSITORY) -> None:
        """Make a repository, behind the doors; the server has been started once."""

        def create(db: Transaction) -> None:
            repositories.create(
                db,
                HOME,
                RepositoryName(name),
                mutability=Mutability.MUTABLE,
                exclusion_filters=[],
                scan_on_push=False,
                store="default",
                key_id="",
                now=datetime.now(UTC),
                limit=100,
            )

        async def run() -> None:
            database = open_database(self.settings.database)
            try:
                await database.write(create)
            finally:
                await database.close()

        asyncio.run(run())
