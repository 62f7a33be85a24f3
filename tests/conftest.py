"""What holds for every test, and the servers that several lanes share."""

import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import hypothesis
import pytest

from tests import servers
from tests.servers import Bucket, PostgresqlServer

_TESTS = Path(__file__).parent
_LANES_WITH_PROGRAMS = {"clients", "durability"}

# On a shared machine a slow example is no finding.
hypothesis.settings.register_profile("ecru", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ecru")


def pytest_configure() -> None:
    """Take away what the caller's environment would change, for the tests and the programs they start."""
    for name in tuple(os.environ):
        if name.upper().startswith(("AWS_", "ECRU_", "OCI_", "PG")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    # Nobody's real account is asked, not even for credentials.
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    sys.addaudithook(_refuse_other_hosts)


def _refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    """Let the code of tests reach loopback and Unix sockets only; what uvloop and obstore open passes unseen."""
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if isinstance(host, str) and not _is_loopback(host):
        # Not an OSError, which clients take for an ordinary failure to connect.
        pytest.fail(f"tests reach only loopback, not {host}")


def _is_loopback(host: str) -> bool:
    if host in {"", "localhost"} or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # Binding to all interfaces asks for their addresses too; connecting to them stays on this machine.
    return address.is_loopback or address.is_unspecified


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its lane, which is its folder; real programs take longer than code in process."""
    for item in items:
        lane = item.path.relative_to(_TESTS).parts[0]
        if not lane.endswith(".py"):
            item.add_marker(lane)
        if lane in _LANES_WITH_PROGRAMS and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, the only loop the server runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Share one PostgreSQL among the tests of this process."""
    with servers.postgresql_server() as server:
        yield server


_database_numbers = itertools.count(1)


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """Make an empty database for this test alone."""
    name = f"test_{next(_database_numbers)}"
    postgresql_server.execute(f"CREATE DATABASE {name}")
    yield postgresql_server.url(name)
    postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """Share one S3 server among the tests of this process."""
    with servers.s3_server(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


_bucket_numbers = itertools.count(1)


@pytest.fixture
def s3_bucket(s3_server: Bucket) -> Bucket:
    """Make an empty bucket for this test alone."""
    bucket = replace(s3_server, name=f"test-{next(_bucket_numbers)}")
    bucket.client().create_bucket(Bucket=bucket.name)
    return bucket
