"""The one point where both doors ask whether a principal may.

Now the root of an account may do everything in its own account, and nobody else exists; policies come to stand here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ecru.access.principal import Principal
from ecru.errors import AccessDenied
from ecru.policy.arn import Arn, root_arn

ANY = Arn("*")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a principal may, and why."""

    allowed: bool
    because: str


def decide(principal: Principal, action: str, resource: Arn) -> Decision:
    """Decide on one action (as ``ecr:PutImage``) on one resource, which need not exist; ``*`` for actions without one."""
    if principal.arn != root_arn(principal.account_id):
        return Decision(False, f"because no identity-based policy allows the {action} action")  # noqa: FBT003
    if resource == ANY or resource.split(":")[4] in ("", principal.account_id):
        return Decision(True, "because the root of the account may do everything in it")  # noqa: FBT003
    return Decision(False, f"because no resource-based policy allows the {action} action")  # noqa: FBT003


def require(principal: Principal, actions: Sequence[str], resource: Arn) -> None:
    """Let pass who may do all of the actions.

    Raises:
        AccessDenied: the first action that the principal may not.
    """
    for action in actions:
        decision = decide(principal, action, resource)
        if not decision.allowed:
            raise AccessDenied(principal.arn, action, resource, decision.because)


def may_any(principal: Principal, actions: Sequence[str], resource: Arn) -> None:
    """Let pass who may do at least one of the actions.

    Raises:
        AccessDenied: for the last one, when the principal may do none.
    """
    for action in actions[:-1]:
        if decide(principal, action, resource).allowed:
            return
    require(principal, actions[-1:], resource)
