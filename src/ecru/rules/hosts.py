"""Which registry a host name stands for, and the other way round.

Specification: the host names of ECR (``ACCOUNT.dkr.ecr.REGION.SUFFIX`` and its dual-stack and FIPS forms). Any suffix is
accepted, AWS's own included, so that private DNS with the real names works.
"""

import re

from ecru.policy.arn import AccountId, Region, Registry

_PRIVATE_REGISTRY = re.compile(r"([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([0-9a-z-]{2,25})\.[^:]+(?::[0-9]{1,5})?", re.ASCII)


def find_registry(host: str) -> Registry | None:
    """Read account and region from a ``Host`` header; None when it is not such a name."""
    found = _PRIVATE_REGISTRY.fullmatch(host.lower())
    return Registry(AccountId(found[1]), Region(found[2])) if found else None


def registry_host(registry: Registry, *, domain: str | None, host: str) -> str:
    """Name the host, with its port, under which clients reach a registry.

    Args:
        registry: whose host it is.
        domain: the domain of the deployment, perhaps with a port; None when it has none.
        host: the host and port that the client used.
    """
    if domain:
        return f"{registry.account_id}.dkr.ecr.{registry.region}.{domain}"
    return host
