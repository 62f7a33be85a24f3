"""From a signed request to a principal: SigV4 in the header or in the query, with AWS's own error for each failure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from ecru.access.authenticate import open_secret, principal_of
from ecru.access.principal import Principal
from ecru.call import Deployment
from ecru.errors import ApiError, Oci
from ecru.metadata import accounts
from ecru.metadata.accounts import AccessKey
from ecru.sigv4.canonical import HttpRequest
from ecru.sigv4.verify import (
    IncompleteSignature,
    MissingAuthenticationToken,
    SignatureFault,
    SignedRequest,
    parse_authorization,
    verify,
)


@dataclass(eq=False)
class RefusedSignature(ApiError):
    """The signature does not prove who asks; the text says how it should have been made."""

    aws = "InvalidSignatureException"
    oci = Oci(401, "UNAUTHORIZED")
    message = "{reason}"

    reason: str


class RefusedIncompleteSignature(RefusedSignature):
    """A part of the signature is missing or cannot be read."""

    aws = "IncompleteSignatureException"


class Unsigned(RefusedSignature):
    """There is no signature."""

    aws = "MissingAuthenticationTokenException"


class UnknownClient(RefusedSignature):
    """The access key does not exist, is switched off, or came with a session token that is not its own."""

    aws = "UnrecognizedClientException"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says to have signed a request; nothing of it is proven."""

    signed: SignedRequest
    key: AccessKey


async def read_claim(deployment: Deployment, request: HttpRequest) -> Claim:
    """Read a request's signature and look up its access key, before the body is read.

    Raises:
        RefusedSignature: there is none, it cannot be read, or no such key is active.
    """
    try:
        signed = parse_authorization(request.headers, request.query)
    except SignatureFault as fault:
        raise _refused(fault) from None
    key = await deployment.database.read(accounts.find_access_key, signed.access_key_id)
    # All keys are long-term ones now, and those come without a session token.
    if key is None or not key.active or signed.session_token is not None:
        raise UnknownClient("The security token included in the request is invalid.")
    return Claim(signed, key)


def prove(
    deployment: Deployment, claim: Claim, request: HttpRequest, *, service: str, regions: Collection[str], now: datetime
) -> Principal:
    """Hold a claim against the request, now with the hash of its body, and answer whose it is.

    Raises:
        RefusedSignature: the signature is not good for this request, now, for this service and region.
    """
    secret = open_secret(deployment.keys, claim.key)
    try:
        verify(claim.signed, request, secret=secret, now=now, service=service, regions=regions)
    except SignatureFault as fault:
        raise _refused(fault) from None
    return principal_of(claim.key)


def _refused(fault: SignatureFault) -> RefusedSignature:
    match fault:
        case MissingAuthenticationToken():
            return Unsigned(str(fault))
        case IncompleteSignature():
            return RefusedIncompleteSignature(str(fault))
        case _:
            return RefusedSignature(str(fault))
