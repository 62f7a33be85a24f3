"""Credentials on ``/v2/``: Basic, as ECR has it, with a challenge on every 401 that clients learn from."""

import re
from datetime import datetime

from ecru.access.authenticate import TokenReader, principal_of_token
from ecru.access.principal import Principal
from ecru.access.tokens import Token
from ecru.call import Deployment, Endpoint
from ecru.errors import InvalidCombination, Unauthenticated
from ecru.policy.arn import Registry
from ecru.rules.hosts import find_registry

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def challenge(endpoint: Endpoint) -> str:
    """The ``WWW-Authenticate`` header; every parameter is quoted, which clients count on."""
    host = endpoint.host if _HOST.fullmatch(endpoint.host) else "localhost"
    return f'Basic realm="{endpoint.scheme}://{host}/",service="ecr.amazonaws.com"'


async def authenticate(
    deployment: Deployment, reader: TokenReader, authorization: str | None, *, now: datetime
) -> tuple[Principal, Token]:
    """From an ``Authorization`` header to a principal.

    Raises:
        Unauthenticated: no valid token of an active access key.
    """
    token = reader.read(authorization, now=now)
    return await deployment.database.read(principal_of_token, token), token


def registry_of(deployment: Deployment, endpoint: Endpoint, token: Token) -> Registry:
    """The registry that a host name stands for, else that of the token.

    Raises:
        Unauthenticated: the token was issued for another region.
        InvalidCombination: the region is not configured here.
    """
    registry = find_registry(endpoint.host) or Registry(token.account_id, token.region)
    if registry.region not in deployment.regions:
        raise InvalidCombination(f"The region '{registry.region}' is not configured in this deployment (ECRU_REGIONS).")
    if registry.region != token.region:
        raise Unauthenticated(f"Not Authorized: the token was issued for the region {token.region}, this is {registry.region}")
    return registry
