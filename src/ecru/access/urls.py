"""Download URLs that the server itself answers: signed with the server key, for one layer of one repository, with an end.

::

    /downloads/ACCOUNT/REGION/REPOSITORY@DIGEST?ends=SECONDS&key=FINGERPRINT&signature=HEX

Whoever has one may read that layer until it ends, like a presigned URL of an object store: no other credentials are asked.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ecru.access.keys import KeyRing, ServerKey
from ecru.oci.digest import Digest, InvalidDigest, parse_digest
from ecru.policy.arn import AccountId, Region, Registry

PREFIX = "/downloads/"

_PATH = re.compile(PREFIX + r"([0-9]{12})/([0-9a-z-]{2,25})/([^@]{2,256})@([^@/]{1,200})")
_END = re.compile(r"[0-9]{1,12}")


class InvalidUrl(ValueError):
    """A URL that was not signed here, was changed, or has ended."""


@dataclass(frozen=True, slots=True)
class Download:
    """What a URL lets anyone read."""

    registry: Registry
    repository: str
    digest: Digest


def sign(keys: KeyRing, registry: Registry, repository: str, digest: Digest, *, ends_at: datetime) -> str:
    """Make the path and query of a URL; the host is whichever the client reaches us by."""
    path = f"{PREFIX}{registry.account_id}/{registry.region}/{repository}@{digest}"
    ends = str(int(ends_at.timestamp()))
    return f"{path}?ends={ends}&key={keys.newest.fingerprint}&signature={_signature(keys.newest, path, ends)}"


def parse(keys: KeyRing, path: str, query: Mapping[str, str], *, now: datetime) -> Download:
    """Read a URL and verify it.

    Raises:
        InvalidUrl: it does not let anyone read anything now.
    """
    found, ends = _PATH.fullmatch(path), query.get("ends", "")
    key = keys.by_fingerprint.get(query.get("key", ""))
    if found is None or key is None or not _END.fullmatch(ends):
        raise InvalidUrl("the URL was not signed by this registry")
    if not hmac.compare_digest(_signature(key, path, ends).encode(), query.get("signature", "").encode()):
        raise InvalidUrl("the signature of the URL does not match")
    if now >= datetime.fromtimestamp(int(ends), UTC):
        raise InvalidUrl("the URL has expired")
    account_id, region, repository, text = found.groups()
    try:
        digest = parse_digest(text)
    except InvalidDigest as fault:
        raise InvalidUrl(str(fault)) from None
    return Download(Registry(AccountId(account_id), Region(region)), repository, digest)


def _signature(key: ServerKey, path: str, ends: str) -> str:
    return hmac.digest(key.url_key, f"{path}\n{ends}".encode(), hashlib.sha256).hex()
