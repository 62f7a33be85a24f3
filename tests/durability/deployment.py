"""A deployment that a test starts, ends and starts again on the same data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests import programs
from tests.programs import ECRU, Program

_WITHOUT = Path(__file__).with_name("without.py")

REPOSITORY = "team/app"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@dataclass
class Deployment:
    """Where the data is, and how the server is started on it."""

    folder: Path
    arguments: Sequence[object] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    """The URL of the database; None for SQLite in the data folder."""
    command: Sequence[str | Path] = ECRU
    """What to run instead of ``ecru`` itself."""

    @property
    def data(self) -> Path:
        """The data folder of the server."""
        return self.folder / "data"

    @property
    def blobs(self) -> Path:
        """Where a folder store keeps its blobs."""
        return self.data / "blobs"

    def without(self, step: str) -> "Deployment":
        """The same with one of the steps left out on which durability rests."""
        return replace(self, command=(ECRU[0], _WITHOUT, step))

    @property
    def database_url(self) -> str:
        """Where the metadata are."""
        return self.database or f"sqlite:///{self.data / 'ecru.db'}"

    def start(
        self,
        *arguments: object,
        until: Callable[[Program], bool] = lambda program: program.answers() and program.get("/readyz").is_success,
    ) -> Program:
        """Start the server and wait until it is ready; the caller ends it."""
        root = {
            "ECRU_ROOT_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "ECRU_ROOT_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "ECRU_ACCESS_LOG": "false",
        }
        all_arguments = ["--database", self.database_url, *self.arguments, *arguments]
        return programs.start(
            self.folder, *all_arguments, environment={**root, **self.environment}, command=self.command, until=until
        )


def ecr_client(program: Program) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """A client of the API as root."""
    return boto3.client(
        "ecr",
        endpoint_url=program.url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )


def log_in(program: Program) -> str:
    """Log in, and answer the ``Authorization`` header that clients of ``/v2/`` send from then on."""
    token = ecr_client(program).get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return f"Basic {token}"


def create_repository(program: Program, name: str = REPOSITORY) -> None:
    """Make a repository."""
    ecr_client(program).create_repository(repositoryName=name)
