"""The texts that a signature is made of, from a request as it came over the wire.

How it works: request → canonical request → string to sign → signature, each step a function of the one before. Client and
server take the same steps, and the server compares the ends.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
SIGNATURE_PARAMETER: Final = "X-Amz-Signature"

_BLANKS: Final = re.compile("[ \t]+")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came over the wire; of its body, the SHA-256 in lowercase hexadecimal.

    ``path`` and ``query`` are still percent-encoded, the names of ``headers`` in lowercase, and a header that came twice is
    there twice. All texts are the bytes of the wire read as latin-1, which is how ASGI servers hand them on.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body_sha256: str


@dataclass(frozen=True, slots=True)
class Scope:
    """For which day (``YYYYMMDD``), region and service a signature counts."""

    day: str
    region: str
    service: str
    terminator: str = TERMINATOR

    @property
    def text(self) -> str:
        """As it stands in the string to sign."""
        return f"{self.day}/{self.region}/{self.service}/{self.terminator}"


def find_header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """A header's value as it is signed: trimmed, runs of blanks as one, repetitions joined by commas; None if it was not sent."""
    values = [_BLANKS.sub(" ", value).strip(" ") for header, value in headers if header == name]
    return ",".join(values) if values else None


def canonical_path(path: str) -> str:
    """The path without empty, ``.`` and ``..`` segments, percent-encoded once more than on the wire; only S3 does neither."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments[-1:] = []
        elif segment not in {"", "."}:
            segments.append(segment)
    trailing = "/" if segments and path.endswith("/") else ""
    return quote("/" + "/".join(segments) + trailing, safe="/", encoding="latin-1")


def canonical_query(query: str) -> str:
    """The query's parameters, without the signature itself, each percent-encoded in the one right way, in order of name and value.

    ``+`` is a blank, as for whoever reads the parameters afterwards: what is signed is what is acted upon.
    """
    pairs = (parameter.partition("=") for parameter in query.split("&") if parameter)
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded if name != SIGNATURE_PARAMETER)


def canonical_headers(headers: Sequence[tuple[str, str]], signed_headers: Sequence[str]) -> str:
    """A line for each signed header; an empty value for one that was not sent."""
    return "".join(f"{name}:{find_header(headers, name) or ''}\n" for name in signed_headers)


def canonical_request(request: HttpRequest, signed_headers: Sequence[str]) -> str:
    """All of a request that its signature covers."""
    return "\n".join(
        (
            request.method,
            canonical_path(request.path),
            canonical_query(request.query),
            canonical_headers(request.headers, signed_headers),
            ";".join(signed_headers),
            request.body_sha256,
        )
    )


def string_to_sign(signed_at: datetime, scope: Scope, canonical: str) -> str:
    """What is signed: when, for what, and the hash of the canonical request."""
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{timestamp(signed_at)}\n{scope.text}\n{digest}"


def signature(secret: str, scope: Scope, text: str) -> str:
    """The signature of a string to sign, in lowercase hexadecimal."""
    return _hmac(_signing_key(secret, scope), text).hex()


def timestamp(at: datetime) -> str:
    """A time in UTC in ISO 8601's basic format, to the second."""
    return f"{at:%Y%m%dT%H%M%SZ}"


@lru_cache(maxsize=1024)
def _signing_key(secret: str, scope: Scope) -> bytes:
    """The same for all requests of a day with one access key, hence the cache."""
    key = f"AWS4{secret}".encode()
    for part in (scope.day, scope.region, scope.service, scope.terminator):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ").encode("latin-1")), safe="")
