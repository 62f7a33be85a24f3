"""From credentials to a principal: access keys and registry tokens."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from ecru.access import tokens
from ecru.access.keys import KeyRing
from ecru.access.principal import Principal
from ecru.errors import Unauthenticated
from ecru.metadata import accounts
from ecru.metadata.accounts import AccessKey
from ecru.metadata.database import Transaction
from ecru.policy.arn import root_arn

CREDENTIAL_ENDED = "Your authorization token has expired. Reauthenticate and try again."


def secret_context(access_key_id: str) -> str:
    """What the secret of an access key is sealed to."""
    return f"access key {access_key_id}"


def open_secret(keys: KeyRing, key: AccessKey) -> str:
    """Open the secret of an access key.

    Raises:
        InvalidServerKey: the key ring does not open it.
    """
    return keys.open(key.secret, secret_context(key.id)).decode()


def principal_of(key: AccessKey) -> Principal:
    """The principal an access key belongs to: the root of its account."""
    return Principal(root_arn(key.account_id), key.account_id, key.account_id, key.id)


class TokenReader:
    """Reads ``Authorization`` headers of ``/v2/``; signatures of headers seen lately are not computed again."""

    def __init__(self, keys: KeyRing) -> None:
        """Read tokens that keys of this ring signed."""
        self._read: Callable[[str], tokens.Token] = lru_cache(maxsize=4096)(
            lambda header: tokens.parse_token(keys, tokens.parse_basic_credentials(header))
        )

    def read(self, header: str | None, *, now: datetime) -> tokens.Token:
        """Read and verify a header's token.

        Raises:
            Unauthenticated: there is none, it is not valid, or it has ended.
        """
        if header is None:
            raise Unauthenticated
        try:
            token = self._read(header)
        except tokens.InvalidToken as fault:
            raise Unauthenticated(f"Not Authorized: {fault}") from None
        if now >= token.expires_at:
            raise Unauthenticated(CREDENTIAL_ENDED)
        return token


def principal_of_token(db: Transaction, token: tokens.Token) -> Principal:
    """The principal of a token, asked anew at each use.

    Raises:
        Unauthenticated: its access key is gone, switched off, or belongs to another account by now.
    """
    key = accounts.find_access_key(db, token.access_key_id)
    if key is None or not key.active or key.account_id != token.account_id:
        raise Unauthenticated("Not Authorized: the access key of this token is not active any more")
    return Principal(root_arn(key.account_id), key.account_id, key.account_id, key.id, token.expires_at)
