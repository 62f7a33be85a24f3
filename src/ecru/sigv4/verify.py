"""Whether a request carries a good signature, in its ``Authorization`` header or, presigned, in its query.

How it works: ``parse_authorization`` reads who claims to have signed what; the caller finds that access key's secret and has
``verify`` hold the claim against the request. Each fault says what is wrong in the words of AWS, by which people search.

    SignatureFault
    ├── MissingAuthenticationToken    there is no signature
    ├── IncompleteSignature           there is something that cannot be read as one
    └── InvalidSignature              it can be read, and is not good for this request, here and now

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
"""

import hmac
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from ecru.sigv4.canonical import (
    ALGORITHM,
    TERMINATOR,
    HttpRequest,
    Scope,
    canonical_request,
    find_header,
    signature,
    string_to_sign,
    timestamp,
)

CLOCK_SKEW: Final = timedelta(minutes=15)
"""How far the clocks of client and server may be apart, and how long a signature counts."""

LONGEST_EXPIRY: Final = timedelta(days=7)

_PARAMETERS: Final = ("Credential", "Signature", "SignedHeaders")
_CREDENTIAL_ELEMENTS: Final = 5
_ACCESS_KEY_ID: Final = re.compile(r"\w{1,128}", re.ASCII)
_BASIC_FORMAT: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_EXPIRES: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_HEADER_NAMES: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+(;[!#$%&'*+.^_`|~0-9a-z-]+)*", re.ASCII)


class SignatureFault(ValueError):
    """The request does not prove who made it. The text may quote all that was signed, session token included: not for logs."""


class MissingAuthenticationToken(SignatureFault):
    """Nothing in the request claims to be a signature."""


class IncompleteSignature(SignatureFault):
    """A part of the signature is missing or cannot be read."""


class InvalidSignature(SignatureFault):
    """The signature does not fit the request, the time, the region or the service."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a request claims about its signature; nothing of it is proven before ``verify``, the session token not even then."""

    access_key_id: str
    scope: Scope
    signed_at: datetime
    signed_headers: tuple[str, ...]
    signature: str
    session_token: str | None
    presigned: bool


def parse_authorization(headers: Sequence[tuple[str, str]], query: str) -> SignedRequest:
    """Read the signature from the ``Authorization`` header or, where there is none, from the query.

    Raises:
        MissingAuthenticationToken: in neither of them.
        IncompleteSignature: there, but not readable.
    """
    authorization = find_header(headers, "authorization")
    if authorization is not None:
        return _from_header(authorization, headers)
    parameters = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name.startswith("X-Amz-")]
    if any(name == "X-Amz-Algorithm" for name, _ in parameters):
        return _from_query(parameters)
    raise MissingAuthenticationToken("Request is missing Authentication Token")


def verify(
    signed: SignedRequest, request: HttpRequest, *, secret: str, now: datetime, service: str, regions: Collection[str]
) -> None:
    """Hold a signature against the request it came with.

    Not asked for: that ``content-type`` is signed, since the AWS SDKs for PHP and for JavaScript (version 2) do not sign it;
    and that no request comes twice, as AWS has no memory for signatures either.

    Raises:
        InvalidSignature: for other regions or another service, too old or too new, without a header that must be signed,
            with the hash of another body, or simply not the signature; the text then says what should have been signed.
    """
    _check_scope(signed, service, regions)
    _check_time(signed, now)
    _check_signed_headers(signed, request)
    _check_body(request)
    canonical = canonical_request(request, signed.signed_headers)
    text = string_to_sign(signed.signed_at, signed.scope, canonical)
    if not hmac.compare_digest(signature(secret, signed.scope, text).encode(), signed.signature.encode()):
        raise InvalidSignature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
            "signing method. Consult the service documentation for details.\n\n"
            f"The Canonical String for this request should have been\n'{canonical}'\n\n"
            f"The String-to-Sign should have been\n'{text}'\n"
        )


def _from_header(authorization: str, headers: Sequence[tuple[str, str]]) -> SignedRequest:
    algorithm, _, parameters = authorization.partition(" ")
    _check_algorithm(algorithm)
    values = _unique(_key_and_value(parameter.strip(" ")) for parameter in parameters.split(",") if parameter.strip(" "))
    date = find_header(headers, "x-amz-date") or find_header(headers, "date")
    lacking = [f"Authorization header requires '{name}' parameter." for name in _PARAMETERS if not values.get(name)]
    if not date:
        lacking.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if lacking or not date:
        raise IncompleteSignature(" ".join(lacking))
    return _signed_request(values, date, find_header(headers, "x-amz-security-token"), presigned=False)


def _from_query(parameters: Sequence[tuple[str, str]]) -> SignedRequest:
    """Read a presigned request.

    ``X-Amz-Expires`` must be in its range, and means nothing else: STS takes presigned requests for 15 minutes, neither shorter
    nor longer, and the tokens of EKS, which say 60 seconds and are used for minutes, live by that.
    """
    values = _unique((name.removeprefix("X-Amz-"), value) for name, value in parameters)
    _check_algorithm(values["Algorithm"])
    lacking = [name for name in (*_PARAMETERS, "Date") if not values.get(name)]
    if lacking:
        names = ", ".join(f"'X-Amz-{name}'" for name in lacking)
        raise IncompleteSignature(f"AWS query-string parameters must include {names}. Re-examine the query-string parameters.")
    expires = values.get("Expires", "1")
    if _EXPIRES.fullmatch(expires) is None or not 1 <= int(expires) <= LONGEST_EXPIRY.total_seconds():
        raise IncompleteSignature(f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST_EXPIRY.total_seconds():.0f}.")
    return _signed_request(values, values["Date"], values.get("Security-Token"), presigned=True)


def _key_and_value(parameter: str) -> tuple[str, str]:
    name, equal_sign, value = parameter.partition("=")
    if not equal_sign:
        raise IncompleteSignature(f"'{parameter}' not a valid key=value pair (missing equal-sign) in Authorization header.")
    return name, value


def _unique(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise IncompleteSignature(f"'{name}' occurs twice in the signature.")
        values[name] = value
    return values


def _signed_request(values: Mapping[str, str], date: str, session_token: str | None, *, presigned: bool) -> SignedRequest:
    credential = values["Credential"].split("/")
    if len(credential) != _CREDENTIAL_ELEMENTS:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{values['Credential']}'"
        )
    access_key_id, *scope = credential
    if _ACCESS_KEY_ID.fullmatch(access_key_id) is None:
        raise IncompleteSignature(f"Access key id '{access_key_id}' is not of letters, digits and '_'.")
    signed_headers = tuple(values["SignedHeaders"].split(";"))
    if not _HEADER_NAMES.fullmatch(values["SignedHeaders"]) or list(signed_headers) != sorted(set(signed_headers)):
        raise IncompleteSignature(
            f"SignedHeaders '{values['SignedHeaders']}' are not in lower case and in order, or no names of headers."
        )
    return SignedRequest(
        access_key_id=access_key_id,
        scope=Scope(*scope),
        signed_at=_signed_at(date),
        signed_headers=signed_headers,
        signature=values["Signature"],
        session_token=session_token,
        presigned=presigned,
    )


def _signed_at(date: str) -> datetime:
    """Read ISO 8601's basic format or, as a ``Date`` header may have, that of HTTP (RFC 9110, section 5.6.7)."""
    form = "%Y%m%dT%H%M%SZ" if _BASIC_FORMAT.fullmatch(date) else "%a, %d %b %Y %H:%M:%S GMT"
    try:
        return datetime.strptime(date, form).replace(tzinfo=UTC)
    except ValueError as fault:
        raise IncompleteSignature(f"Date must be in ISO-8601 'basic format'. Got '{date}'.") from fault


def _check_algorithm(algorithm: str) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now).")


def _check_scope(signed: SignedRequest, service: str, regions: Collection[str]) -> None:
    scope, day = signed.scope, f"{signed.signed_at:%Y%m%d}"
    faults = []
    if scope.region not in regions:
        faults.append(f"Credential should be scoped to a valid region, not '{scope.region}'.")
    if scope.service != service:
        faults.append(f"Credential should be scoped to correct service: '{service}'.")
    if scope.terminator != TERMINATOR:
        faults.append(f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{scope.terminator}'.")
    if scope.day != day:
        faults.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.day}' != '{day}', from '{timestamp(signed.signed_at)}'."
        )
    if faults:
        raise InvalidSignature(" ".join(faults))


def _check_time(signed: SignedRequest, now: datetime) -> None:
    """The texts tell the server's time: the quickest way for people to see whose clock is wrong."""
    signed_at, server_time, minutes = timestamp(signed.signed_at), timestamp(now), CLOCK_SKEW // timedelta(minutes=1)
    earliest, latest = now - CLOCK_SKEW, now + CLOCK_SKEW
    if signed.signed_at < earliest:
        raise InvalidSignature(
            f"Signature expired: {signed_at} is now earlier than {timestamp(earliest)} ({server_time} - {minutes} min.)"
        )
    if signed.signed_at > latest:
        raise InvalidSignature(
            f"Signature not yet current: {signed_at} is still later than {timestamp(latest)} ({server_time} + {minutes} min.)"
        )


def _check_signed_headers(signed: SignedRequest, request: HttpRequest) -> None:
    if "host" not in signed.signed_headers:
        raise InvalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name, _ in request.headers:
        if name.startswith("x-amz-") and name not in signed.signed_headers:
            raise InvalidSignature(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_body(request: HttpRequest) -> None:
    """``UNSIGNED-PAYLOAD`` and the streamed forms are S3's: here the hash is that of the body or wrong."""
    stated = find_header(request.headers, "x-amz-content-sha256")
    if stated is not None and stated != request.body_sha256:
        raise InvalidSignature(f"'x-amz-content-sha256' must be the SHA-256 of the body, {request.body_sha256}, not '{stated}'.")
