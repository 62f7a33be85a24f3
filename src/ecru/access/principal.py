"""The principal of a request."""

from dataclasses import dataclass
from datetime import datetime

from ecru.policy.arn import AccountId, Arn


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as the credentials proved it."""

    arn: Arn
    account_id: AccountId
    user_id: str
    access_key_id: str
    expires_at: datetime | None = None
    """When the credentials end; None for a long-term key."""
