"""What a handler is given beside the request's own values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecru.access.authorize import require
from ecru.access.keys import KeyRing
from ecru.access.principal import Principal
from ecru.blobs.hashing import Hashing
from ecru.blobs.store import BlobStore
from ecru.errors import InvalidParameter
from ecru.metadata.database import Database
from ecru.metadata.pulls import PullTimes
from ecru.policy.arn import Arn, InvalidArn, Region, Registry, parse_account_id
from ecru.rules.hosts import registry_host
from ecru.rules.limits import Limits

_READING: Final = timedelta(minutes=5)
"""What a reader may take between reading a row and opening or signing its location, with clocks that differ."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the client reached us: behind a trusted proxy, as the proxy said."""

    scheme: str
    host: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What lives as long as the process: the edges, the keys, and the operator's choices."""

    database: Database
    stores: Mapping[str, BlobStore]
    hashing: Hashing
    pulls: PullTimes
    keys: KeyRing
    limits: Limits
    home: Registry
    """The registry that answers where neither a host name nor credentials name one."""
    regions: frozenset[Region]
    domain: str | None
    upload_expiry: timedelta
    collection_grace: timedelta
    deleted_image_retention: timedelta
    url_lifetime: timedelta
    redirect_to_store: bool
    """Whether blobs of an object store are answered with a signed URL of the store, or passed through."""

    @property
    def reading_time(self) -> timedelta:
        """How long bytes may still be asked for after the last row that pointed to them went."""
        return self.url_lifetime + _READING


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, for which registry, when, and with what at hand."""

    deployment: Deployment
    principal: Principal
    registry: Registry
    """Where the call goes unless it names another registry."""
    now: datetime
    request_id: str
    endpoint: Endpoint

    def in_registry(self, registry_id: str | None) -> Registry:
        """The registry a ``registryId`` names, in the region of the call; without one, the call's own.

        Raises:
            InvalidParameter: it is no account id.
        """
        if registry_id is None:
            return self.registry
        try:
            return Registry(parse_account_id(registry_id), self.registry.region)
        except InvalidArn as fault:
            raise InvalidParameter("registryId", str(fault)) from None

    def require(self, action: str, resource: Arn) -> None:
        """Let pass who may.

        Raises:
            AccessDenied: the principal may not.
        """
        require(self.principal, [action], resource)

    def registry_host(self, registry: Registry) -> str:
        """The host, with its port, under which this client reaches a registry."""
        return registry_host(registry, domain=self.deployment.domain, host=self.endpoint.host)
