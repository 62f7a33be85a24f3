"""Accounts, their access keys and settings, and which server keys sealed something here."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update

from ecru.metadata.database import Transaction, upsert
from ecru.metadata.tables import access_key, account, account_setting, server_key
from ecru.policy.arn import AccountId, Registry


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of an account's root; the secret is sealed with the server key."""

    id: str
    account_id: AccountId
    secret: bytes
    active: bool


_FIND_KEY = select(access_key.c.id, access_key.c.account_id, access_key.c.secret, access_key.c.active).where(
    access_key.c.id == bindparam("key_id")
)


def find_access_key(db: Transaction, key_id: str) -> AccessKey | None:
    """Look an access key up, active or not."""
    row = db.execute(_FIND_KEY, {"key_id": key_id}).first()
    return None if row is None else AccessKey(*row)


def list_access_keys(db: Transaction, account_id: AccountId) -> list[AccessKey]:
    """All access keys of an account, oldest first."""
    statement = (
        select(access_key.c.id, access_key.c.account_id, access_key.c.secret, access_key.c.active)
        .where(access_key.c.account_id == account_id)
        .order_by(access_key.c.created_at, access_key.c.id)
    )
    return [AccessKey(*row) for row in db.execute(statement)]


def list_all_access_keys(db: Transaction) -> list[AccessKey]:
    """The access keys of all accounts."""
    statement = select(access_key.c.id, access_key.c.account_id, access_key.c.secret, access_key.c.active)
    return [AccessKey(*row) for row in db.execute(statement.order_by(access_key.c.id).with_for_update())]


def set_secret(db: Transaction, key_id: str, secret: bytes) -> None:
    """Give an access key its secret sealed anew."""
    db.execute(update(access_key).where(access_key.c.id == key_id).values(secret=secret))


def create_account(db: Transaction, account_id: AccountId, *, now: datetime) -> bool:
    """Make an account; False if it is there."""
    return bool(upsert(db, account, {"id": account_id, "created_at": now}, conflict=("id",)))


def put_access_key(db: Transaction, key_id: str, account_id: AccountId, *, secret: bytes, now: datetime) -> None:
    """Add an active access key, or give an existing one a new sealed secret."""
    values = {"id": key_id, "account_id": account_id, "secret": secret, "active": True, "created_at": now}
    upsert(db, access_key, values, conflict=("id",), update=("account_id", "secret", "active"))


def set_access_key_active(db: Transaction, key_id: str, *, active: bool) -> None:
    """Switch an access key on or off; every token made with it follows at once."""
    db.execute(update(access_key).where(access_key.c.id == key_id).values(active=active))


def find_setting(db: Transaction, registry: Registry, name: str) -> str | None:
    """Look up an account setting of a region; None when it was never put."""
    statement = select(account_setting.c.value).where(
        account_setting.c.account_id == registry.account_id,
        account_setting.c.region == registry.region,
        account_setting.c.name == name,
    )
    return db.execute(statement).scalar()


def put_setting(db: Transaction, registry: Registry, name: str, value: str) -> None:
    """Put an account setting of a region."""
    values = {"account_id": registry.account_id, "region": registry.region, "name": name, "value": value}
    upsert(db, account_setting, values, conflict=("account_id", "region", "name"), update=("value",))


def list_server_keys(db: Transaction) -> set[str]:
    """Fingerprints of the server keys that sealed something in this database."""
    return set(db.execute(select(server_key.c.id)).scalars())


def record_server_key(db: Transaction, key_id: str, *, now: datetime) -> None:
    """Remember a server key that seals from now on."""
    upsert(db, server_key, {"id": key_id, "created_at": now}, conflict=("id",))


def replace_server_keys(db: Transaction, key_id: str, *, now: datetime) -> None:
    """Forget all server keys but one, which sealed everything that is sealed."""
    record_server_key(db, key_id, now=now)
    db.execute(delete(server_key).where(server_key.c.id != key_id))
