"""A registry for the clients of one process of the tests, a home for those of one file, a repository for each test."""

from collections.abc import Iterator

import pytest

from tests.clients.registry import Home, Registry, running_registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry on SQLite and a folder, with two web workers."""
    with running_registry(tmp_path_factory.mktemp("registry"), "--workers", 2, "--log-format", "json") as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Home:
    """Where the clients of a file keep their settings and their logins."""
    return Home(tmp_path_factory.mktemp("home"), registry)


@pytest.fixture
def repository(registry: Registry) -> str:
    """A repository of the test's own."""
    return registry.create_repository()


@pytest.fixture
def mounting(registry: Registry) -> Iterator[None]:
    """Turns the account's blob mounting on for a test."""
    registry.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    yield
    registry.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
