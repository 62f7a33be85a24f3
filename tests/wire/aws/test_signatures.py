"""Who asks: good signatures of every form, and AWS's own error for each bad one, in both protocols."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import httpx
import pytest

from ecru.access.bootstrap import Credentials
from ecru.metadata import accounts
from tests.wire.aws.caller import Caller, Refused
from tests.wire.serving import HOST, ROOT, Server

pytestmark = pytest.mark.anyio


@pytest.fixture
def database() -> dict[str, object]:
    """SQLite is enough: nothing here depends on the engine."""
    return {}


WHO_AM_I = "Action=GetCallerIdentity&Version=2011-06-15"

QUERY_CODES = {
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 400),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
}

Change = Callable[[botocore.awsrequest.AWSPreparedRequest], object]


def authorization(old: str, new: str) -> Change:
    def change(request: botocore.awsrequest.AWSPreparedRequest) -> None:
        text = request.headers["Authorization"]
        text = text.decode() if isinstance(text, bytes) else text
        assert old in text
        request.headers["Authorization"] = text.replace(old, new)

    return change


def header(name: str, value: str | None) -> Change:
    def change(request: botocore.awsrequest.AWSPreparedRequest) -> None:
        if value is None:
            del request.headers[name]
        else:
            request.headers[name] = value

    return change


BAD = [
    pytest.param(header("Authorization", None), "MissingAuthenticationTokenException", id="none"),
    pytest.param(header("Authorization", "Basic QVdTOng="), "IncompleteSignatureException", id="basic"),
    pytest.param(header("Authorization", "AWS4-HMAC-SHA256 x"), "IncompleteSignatureException", id="nonsense"),
    pytest.param(authorization("Signature=", "Sig="), "IncompleteSignatureException", id="part missing"),
    pytest.param(header("X-Amz-Date", None), "IncompleteSignatureException", id="date missing"),
    pytest.param(header("X-Amz-Date", "yesterday"), "IncompleteSignatureException", id="date malformed"),
    pytest.param(authorization("EXAMPLE/", "UNKNOWN/"), "UnrecognizedClientException", id="unknown key"),
    pytest.param(header("X-Amz-Security-Token", "token"), "UnrecognizedClientException", id="token with a long-term key"),
    pytest.param(authorization("us-east-1", "mars-north-1"), "InvalidSignatureException", id="region"),
    pytest.param(authorization("/aws4_request", "/aws5_request"), "InvalidSignatureException", id="terminator"),
    pytest.param(authorization("Signature=", "Signature=0"), "InvalidSignatureException", id="signature"),
    pytest.param(header("X-Amz-Extra", "unsigned"), "InvalidSignatureException", id="unsigned header"),
    pytest.param(header("Host", "elsewhere.test"), "InvalidSignatureException", id="other host"),
    pytest.param(lambda request: setattr(request, "url", request.url + "?a=b"), "InvalidSignatureException", id="query"),
]


@pytest.mark.parametrize("change, code", BAD)
async def test_a_bad_signature_has_its_own_error_in_json(ecr: Caller, change: Change, code: str) -> None:
    request = ecr.request("DescribeRepositories")
    change(request)
    with pytest.raises(Refused) as raised:
        ecr.read("DescribeRepositories", await ecr.send(request))

    assert (raised.value.code, raised.value.status) == (code, 400)


@pytest.mark.parametrize("change, code", BAD)
async def test_a_bad_signature_has_its_own_error_in_query(sts: Caller, change: Change, code: str) -> None:
    request = sts.request("GetCallerIdentity")
    change(request)
    with pytest.raises(Refused) as raised:
        sts.read("GetCallerIdentity", await sts.send(request))

    assert (raised.value.code, raised.value.status) == QUERY_CODES[code]


async def test_another_body_than_the_signed_one_is_refused(ecr: Caller) -> None:
    request = ecr.request("DescribeRepositories")
    request.body = b'{"maxResults": 1}'
    del request.headers["Content-Length"]
    with pytest.raises(Refused) as raised:
        ecr.read("DescribeRepositories", await ecr.send(request))

    assert raised.value.code == "InvalidSignatureException"


async def test_another_secret_is_refused_with_what_should_have_been_signed(ecr: Caller) -> None:
    stranger = replace(ecr, credentials=Credentials(ROOT.access_key_id, "x" * 40))
    refusal = await stranger.refusal("DescribeRepositories")

    assert refusal.code == "InvalidSignatureException"
    assert "The Canonical String for this request should have been" in refusal.message
    assert ROOT.secret_access_key not in refusal.message


async def test_a_signature_for_another_service_is_refused(server: Server, ecr: Caller) -> None:
    request = replace(ecr, service="sts").raw(b"{}", target="AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
    answer = await ecr.send(request)

    assert answer.json()["__type"] == "InvalidSignatureException"
    assert "Credential should be scoped to correct service: 'ecr'." in answer.json()["message"]


async def test_a_region_that_is_not_configured_is_refused(ecr: Caller) -> None:
    refusal = await replace(ecr, region="eu-west-1").refusal("DescribeRepositories")

    assert refusal.code == "InvalidSignatureException"
    assert "Credential should be scoped to a valid region" in refusal.message


@pytest.mark.parametrize("minutes, word", [(-16, "expired"), (16, "not yet current")])
async def test_a_clock_that_is_wrong_is_told_the_servers_time(ecr: Caller, minutes: int, word: str) -> None:
    there = datetime.now(UTC) + timedelta(minutes=minutes)
    with mock.patch("botocore.auth.get_current_datetime", return_value=there):
        request = ecr.request("DescribeRepositories")
    with pytest.raises(Refused) as raised:
        ecr.read("DescribeRepositories", await ecr.send(request))

    assert raised.value.code == "InvalidSignatureException"
    assert word in raised.value.message
    assert f"{datetime.now(UTC):%Y%m%dT%H}" in raised.value.message


async def test_a_key_that_is_switched_off_opens_nothing(server: Server, ecr: Caller, sts: Caller) -> None:
    await server.database.write(accounts.set_access_key_active, ROOT.access_key_id, active=False)

    assert (await ecr.refusal("DescribeRepositories")).code == "UnrecognizedClientException"
    assert (await sts.refusal("GetCallerIdentity")).code == "InvalidClientTokenId"


# --- GetCallerIdentity ------------------------------------------------------------------------------------------------

ROOT_IDENTITY = {"UserId": "000000000000", "Account": "000000000000", "Arn": "arn:aws:iam::000000000000:root"}


async def test_a_caller_is_told_who_it_is(sts: Caller) -> None:
    assert await sts("GetCallerIdentity") == ROOT_IDENTITY


def presigned(*, expires: int = 60, headers: dict[str, str] | None = None, region: str = "us-east-1") -> Any:  # noqa: ANN401
    request = botocore.awsrequest.AWSRequest("GET", f"http://{HOST}/?{WHO_AM_I}", headers or {})
    credentials = botocore.credentials.Credentials(ROOT.access_key_id, ROOT.secret_access_key)
    botocore.auth.SigV4QueryAuth(credentials, "sts", region, expires=expires).add_auth(request)
    return request.prepare()


async def get(server: Server, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async with server.http(authorization=None) as http:
        return await http.get(url, headers=headers)


async def test_a_presigned_request_says_who_signed_it(server: Server, sts: Caller) -> None:
    answer = await get(server, presigned().url)

    assert sts.read("GetCallerIdentity", answer) == ROOT_IDENTITY


async def test_a_presigned_request_may_bind_a_header_as_eks_does(server: Server, sts: Caller) -> None:
    bound = {"x-k8s-aws-id": "cluster"}
    url = presigned(headers=bound).url

    assert sts.read("GetCallerIdentity", await get(server, url, bound)) == ROOT_IDENTITY
    assert (await get(server, url)).status_code == 403
    assert (await get(server, url, {"x-k8s-aws-id": "another"})).status_code == 403


@pytest.mark.parametrize(
    "old, new",
    [
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("GetCallerIdentity", "GetSessionToken"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("Version=2011-06-15", "Version=2011-06-15&DurationSeconds=900"),
    ],
)
async def test_a_changed_presigned_request_is_refused(server: Server, old: str, new: str) -> None:
    url = presigned().url
    answer = await get(server, url.replace(old, new))

    assert old in url
    assert answer.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text


async def test_an_old_presigned_request_is_refused(server: Server) -> None:
    with mock.patch("botocore.auth.get_current_datetime", return_value=datetime.now(UTC) - timedelta(minutes=16)):
        url = presigned(expires=604_800).url

    assert (await get(server, url)).status_code == 403


@pytest.mark.parametrize(
    "form, code, status",
    [
        ("", "MissingAction", 400),
        ("Version=2011-06-15", "MissingAction", 400),
        ("Action=Nonsense&Version=2011-06-15", "InvalidAction", 400),
        ("Action=GetCallerIdentity&Version=1999-01-01", "InvalidAction", 400),
        ("Action=GetSessionToken&Version=2011-06-15", "UnsupportedOperationException", 400),
        ("Action=GetSessionToken&Version=2011-06-15&DurationSeconds=x", "MalformedInput", 400),
        ("Action=GetSessionToken&Version=2011-06-15&DurationSeconds=1", "ValidationError", 400),
        ("Action=GetCallerIdentity&Version=2011-06-15&a=%FF", "MalformedInput", 400),
    ],
)
async def test_a_form_that_is_wrong_has_the_error_of_query_services(sts: Caller, form: str, code: str, status: int) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = botocore.awsrequest.AWSRequest("POST", f"http://{HOST}/", headers, form.encode())
    credentials = botocore.credentials.Credentials(ROOT.access_key_id, ROOT.secret_access_key)
    botocore.auth.SigV4Auth(credentials, "sts", "us-east-1").add_auth(request)
    answer = await sts.send(request.prepare())

    assert answer.status_code == status
    assert f"<Code>{code}</Code>" in answer.text
