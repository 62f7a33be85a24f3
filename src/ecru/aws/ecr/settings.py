"""The registry as a whole, and the settings of an account in a region."""

from dataclasses import dataclass

from ecru.aws.operation import any_resource, operation
from ecru.call import Call
from ecru.errors import InvalidCombination, InvalidParameter, NotBuilt
from ecru.metadata import accounts
from ecru.metadata.database import Transaction
from ecru.registry.blobs import DISABLED, ENABLED, MOUNTING_SETTING


@dataclass(frozen=True, slots=True)
class _Setting:
    """An account setting: the value without one put, what may be put, and what ECR knows and we do not have yet."""

    default: str
    values: frozenset[str]
    not_built: frozenset[str] = frozenset()


_SETTINGS = {
    MOUNTING_SETTING: _Setting(DISABLED, frozenset({ENABLED, DISABLED})),
    "BASIC_SCAN_TYPE_VERSION": _Setting("AWS_NATIVE", frozenset({"AWS_NATIVE"})),
    "REGISTRY_POLICY_SCOPE": _Setting("V2", frozenset({"V2"}), frozenset({"V1"})),
}


def _setting(name: str) -> _Setting:
    """Find a setting.

    Raises:
        InvalidParameter: there is none of that name.
    """
    if name not in _SETTINGS:
        raise InvalidParameter("name", f"Member must satisfy enum value set: [{', '.join(sorted(_SETTINGS))}]")
    return _SETTINGS[name]


@operation("GetAccountSetting", resource=any_resource, raises=[InvalidCombination])
def get_account_setting(db: Transaction, call: Call, *, name: str) -> dict[str, object]:
    """Tell the value of an account setting.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAccountSetting.html
    """
    setting = _setting(name)
    return {"name": name, "value": accounts.find_setting(db, call.registry, name) or setting.default}


@operation("PutAccountSetting", resource=any_resource, writes=True, raises=[InvalidCombination, NotBuilt])
def put_account_setting(db: Transaction, call: Call, *, name: str, value: str) -> dict[str, object]:
    """Set the value of an account setting, for the region of the call.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutAccountSetting.html
    """
    setting = _setting(name)
    if value in setting.not_built:
        raise NotBuilt(f"The value '{value}' of the account setting '{name}'", f"It is '{setting.default}'.")
    if value not in setting.values:
        raise InvalidParameter("value", f"Member must satisfy enum value set: [{', '.join(sorted(setting.values))}]")
    accounts.put_setting(db, call.registry, name, value)
    return {"name": name, "value": value}


@operation("DescribeRegistry", resource=any_resource)
def describe_registry(db: Transaction, call: Call) -> dict[str, object]:  # noqa: ARG001 - one signature for all
    """Describe the caller's registry; it replicates nothing yet.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeRegistry.html
    """
    return {"registry_id": call.registry.id, "replication_configuration": {"rules": []}}
