"""Registry tokens: what ``GetAuthorizationToken`` gives and ``/v2/`` takes as the password of user ``AWS``.

A token says who asked for it, in which region and until when, and is signed with the server key. It carries no
permission: each use asks again whether the access key still is active and the principal may. Layout, in base64url without
padding, so that there is no colon in it (the aws CLI splits at each one)::

    fingerprint of the server key "." payload "." HMAC-SHA256 of both
    payload: access key id "|" account "|" region "|" seconds since the epoch at which it ends
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecru.access.keys import KeyRing
from ecru.access.principal import Principal
from ecru.policy.arn import AccountId, Region

TOKEN_LIFETIME = timedelta(hours=12)
USER_NAME = "AWS"
_TOKEN_LIMIT = 1_000


class InvalidToken(ValueError):
    """A token that is none of ours, or has ended."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says."""

    access_key_id: str
    account_id: AccountId
    region: Region
    expires_at: datetime


def issue(keys: KeyRing, principal: Principal, region: Region, *, now: datetime) -> tuple[str, datetime]:
    """Make a token for a principal and answer it with its end, which is never after that of the principal's credentials."""
    expires_at = now + TOKEN_LIFETIME
    if principal.expires_at is not None:
        expires_at = min(expires_at, principal.expires_at)
    payload = f"{principal.access_key_id}|{principal.account_id}|{region}|{expires_at.timestamp():.3f}"
    signed = f"{keys.newest.fingerprint}.{_encode(payload.encode())}"
    signature = hmac.digest(keys.newest.token_key, signed.encode(), hashlib.sha256)
    return f"{signed}.{_encode(signature)}", expires_at


def parse_token(keys: KeyRing, text: str) -> Token:
    """Read a token and verify its signature; whether it has ended is the caller's question.

    Raises:
        InvalidToken: it was not made by this deployment, or was changed.
    """
    if len(text) > _TOKEN_LIMIT or text.count(".") != 2:  # noqa: PLR2004 - the layout above
        raise InvalidToken("the password is no token of this registry")
    fingerprint, encoded, signature = text.split(".")
    key = keys.by_fingerprint.get(fingerprint)
    if key is None:
        raise InvalidToken("the token was made with a server key that is not in use")
    expected = hmac.digest(key.token_key, f"{fingerprint}.{encoded}".encode(), hashlib.sha256)
    if not hmac.compare_digest(_encode(expected).encode(), signature.encode()):
        raise InvalidToken("the token was changed")
    try:
        access_key_id, account_id, region, end = _decode(encoded).decode().split("|")
        expires_at = datetime.fromtimestamp(float(end), UTC)
    except ValueError as fault:
        raise InvalidToken("the token cannot be read") from fault
    return Token(access_key_id, AccountId(account_id), Region(region), expires_at)


def basic_credentials(token: str) -> str:
    """The ``authorizationToken`` of the API: what stands after ``Basic`` in the header."""
    return base64.b64encode(f"{USER_NAME}:{token}".encode()).decode()


def parse_basic_credentials(header: str) -> str:
    """Read the token out of an ``Authorization: Basic`` header.

    Raises:
        InvalidToken: another scheme, user or syntax.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 2 * _TOKEN_LIMIT:
        raise InvalidToken("this registry takes Basic credentials only: user AWS and a token as the password")
    try:
        user, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise InvalidToken("the Basic credentials are not base64 of user:password") from None
    if not separator or user != USER_NAME:
        raise InvalidToken("the user name must be AWS; its password is a token of 'aws ecr get-login-password'")
    return password


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
