"""Tokens for registry clients."""

from collections.abc import Sequence

from ecru.access import tokens
from ecru.aws.operation import any_resource, operation
from ecru.call import Call
from ecru.metadata.database import Transaction


@operation("GetAuthorizationToken", resource=any_resource)
def get_authorization_token(
    db: Transaction,  # noqa: ARG001 - one signature for all
    call: Call,
    *,
    registry_ids: Sequence[str] | None = None,
) -> dict[str, object]:
    """Give a token for registry clients, and say for which endpoints; one token opens all that the principal may use.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
    """
    token, expires_at = tokens.issue(call.deployment.keys, call.principal, call.registry.region, now=call.now)
    registries = [call.in_registry(each) for each in registry_ids or [call.registry.id]]
    return {
        "authorization_data": [
            {
                "authorization_token": tokens.basic_credentials(token),
                "expires_at": expires_at,
                "proxy_endpoint": f"{call.endpoint.scheme}://{call.registry_host(registry)}",
            }
            for registry in registries
        ]
    }
