"""Clients of the AWS door."""

import pytest

from tests.wire.aws.caller import Caller
from tests.wire.serving import Server


@pytest.fixture
async def ecr(server: Server) -> Caller:
    """ECR for the root of the account, and the repository ``app`` to use it on."""
    caller = Caller(server, "ecr")
    await server.create_repository("app")
    return caller


@pytest.fixture
def sts(server: Server) -> Caller:
    """STS for the root of the account."""
    return Caller(server, "sts")
