"""What the tests of this lane leave behind otherwise."""

import shutil
from collections.abc import Iterator

import pytest

from ecru.telemetry.gathering import folder_in_memory
from tests import programs


@pytest.fixture(scope="session", autouse=True)
def no_metrics_of_killed_servers() -> Iterator[None]:
    """Delete what only the next start of the same server would, and there is none."""
    yield
    for data in programs.data_folders:
        if folder := folder_in_memory(data):
            shutil.rmtree(folder, ignore_errors=True)
