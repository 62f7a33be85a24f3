"""Who a caller is."""

from ecru.aws.operation import any_resource, operation
from ecru.call import Call
from ecru.metadata.database import Transaction


@operation("GetCallerIdentity", resource=any_resource, action="")
def get_caller_identity(db: Transaction, call: Call) -> dict[str, object]:  # noqa: ARG001 - one signature for all
    """Tell a caller who it is; nobody can be denied this.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    principal = call.principal
    return {"user_id": principal.user_id, "account": principal.account_id, "arn": principal.arn}
