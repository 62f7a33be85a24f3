"""The first start: the account, its root access key, and the check that the server keys are the right ones."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

from ecru.access.authenticate import open_secret, secret_context
from ecru.access.keys import InvalidServerKey, KeyRing
from ecru.metadata import accounts
from ecru.metadata.database import Transaction
from ecru.policy.arn import AccountId

_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ALPHABET_OF_SECRETS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret in the clear; it does not print the secret."""

    access_key_id: str
    secret_access_key: str

    @override
    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"


def new_credentials() -> Credentials:
    """Make a long-term access key in AWS's form: 20 and 40 characters."""
    key_id = "AKIA" + "".join(secrets.choice(_KEY_ID_ALPHABET) for _ in range(16))
    return Credentials(key_id, "".join(secrets.choice(_ALPHABET_OF_SECRETS) for _ in range(40)))


def check_server_keys(db: Transaction, keys: KeyRing) -> None:
    """Hold the key ring against what was sealed in this database.

    Raises:
        InvalidServerKey: a key that sealed something is not on the ring.
    """
    missing = sorted(accounts.list_server_keys(db) - set(keys.by_fingerprint))
    if missing:
        raise InvalidServerKey(
            f"this database has secrets sealed with the server key {', '.join(missing)}, which this node does not have: "
            "give it the server.key file of the deployment (ECRU_SERVER_KEY_FILE), or restore the one of the backup"
        )


def reseal(db: Transaction, keys: KeyRing, *, now: datetime) -> int:
    """Seal again with the newest server key what an older one sealed, so that the older one may leave the ring.

    Answers how many secrets were resealed; a second run finds none.

    Raises:
        InvalidServerKey: a secret does not open.
    """
    stale = [key for key in accounts.list_all_access_keys(db) if not keys.is_sealed_with_newest(key.secret)]
    for key in stale:
        sealed = keys.seal(open_secret(keys, key).encode(), secret_context(key.id))
        accounts.set_secret(db, key.id, sealed)
    if stale:
        accounts.replace_server_keys(db, keys.newest.fingerprint, now=now)
    return len(stale)


def ensure_root(
    db: Transaction,
    keys: KeyRing,
    account_id: AccountId,
    *,
    given: Credentials | None,
    make: Callable[[], Credentials],
    now: datetime,
) -> Credentials | None:
    """Make sure that the account exists and that its root has an access key.

    Args:
        db: the transaction.
        keys: seals the secret.
        account_id: the default account.
        given: the access key that the settings name; it is active afterwards, and earlier ones stay as they are.
        make: makes a new access key; it is asked only when the account has none and none is given.
        now: the time.

    Returns:
        The key that was made, to be shown once; None when nothing was made.

    Raises:
        InvalidServerKey: the key ring is not the one of this database.
    """
    check_server_keys(db, keys)
    accounts.create_account(db, account_id, now=now)
    known = {key.id: key for key in accounts.list_access_keys(db, account_id)}
    if given is not None and given.access_key_id in known and known[given.access_key_id].active:
        if open_secret(keys, known[given.access_key_id]) == given.secret_access_key:
            return None
    elif given is None and known:
        return None
    credentials = given if given is not None else make()
    sealed = keys.seal(credentials.secret_access_key.encode(), secret_context(credentials.access_key_id))
    accounts.record_server_key(db, keys.newest.fingerprint, now=now)
    accounts.put_access_key(db, credentials.access_key_id, account_id, secret=sealed, now=now)
    return credentials
