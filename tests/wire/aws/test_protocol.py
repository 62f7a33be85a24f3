"""The door itself: which requests it understands, and what it answers to those it does not."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from ecru.aws import dispatch
from tests.wire.aws.caller import Caller
from tests.wire.serving import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
def database() -> dict[str, object]:
    """SQLite is enough: nothing here depends on the engine."""
    return {}


ECR = "AmazonEC2ContainerRegistry_V20150921."


async def code_of(answer: httpx.Response) -> tuple[int, str]:
    document = answer.json()
    assert answer.headers["x-amzn-errortype"] == document["__type"]
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert document["message"]
    return answer.status_code, document["__type"]


@pytest.mark.parametrize("target", [ECR + "Nonsense", "Nonsense.PutImage", "", "PutImage", ECR])
async def test_an_unknown_operation_is_said_to_be(ecr: Caller, target: str) -> None:
    answer = await ecr.send(ecr.raw(b"{}", target=target))

    assert await code_of(answer) == (400, "UnknownOperationException")


async def test_an_operation_that_is_not_built_is_named(ecr: Caller) -> None:
    refusal = await ecr.refusal("GetLifecyclePolicy", repositoryName="app")

    assert refusal.code == "UnsupportedOperationException"
    assert "ecr:GetLifecyclePolicy" in refusal.message


async def test_ecr_public_shares_the_door_under_its_own_name(server: Server) -> None:
    refusal = await Caller(server, "ecr-public").refusal("DescribeRepositories")

    assert refusal.code == "UnsupportedOperationException"
    assert "ecr-public:DescribeRepositories" in refusal.message


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"\xff",
        b'{"maxResults": NaN}',
        b"[" * 100_000,
        b'{"maxResults": "10"}',
        b'{"maxResults": true}',
        b'{"repositoryNames": "app"}',
        b'{"repositoryNames": [["app"]]}',
        b'{"repositoryNames": {"0": "app"}}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
async def test_a_body_of_another_form_cannot_be_read(ecr: Caller, body: bytes) -> None:
    answer = await ecr.send(ecr.raw(body, target=ECR + "DescribeRepositories"))

    assert await code_of(answer) == (400, "SerializationException")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"repositoryNames": null, "unheardOf": {"a": 1}, "maxResults": 7}'])
async def test_nothing_nulls_and_unknown_members_are_fine(ecr: Caller, body: bytes) -> None:
    answer = await ecr.send(ecr.raw(body, target=ECR + "DescribeRepositories"))

    assert (answer.status_code, len(answer.json()["repositories"])) == (200, 1)


async def test_a_null_in_a_list_is_a_missing_value(ecr: Caller) -> None:
    answer = await ecr.send(ecr.raw(b'{"repositoryNames": [null]}', target=ECR + "DescribeRepositories"))

    assert await code_of(answer) == (400, "InvalidParameterException")


async def test_all_that_is_wrong_is_told_at_once(ecr: Caller) -> None:
    refusal = await ecr.refusal("DescribeImages", repositoryName="A/B", maxResults=5_000, filter={"tagStatus": "x"})

    assert refusal.message.startswith("3 validation errors detected: ")
    assert all(f"at '{member}'" in refusal.message for member in ("repositoryName", "maxResults", "filter.tagStatus"))


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_its_limit_is_not_read(ecr: Caller, *, announced: bool) -> None:
    request = ecr.raw(b"{}" + b" " * (13 * 2**20), target=ECR + "DescribeRepositories")
    if not announced:
        del request.headers["Content-Length"]
        whole = request.body

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(whole), 2**20):
                yield whole[start : start + 2**20]

        request.body = pieces()
    answer = await ecr.send(request)

    assert await code_of(answer) == (413, "RequestEntityTooLargeException")


async def test_large_bodies_wait_for_each_other_and_all_are_answered(ecr: Caller) -> None:
    """More of them than may be held at one time."""
    body = json.dumps({"repositoryName": "app", "imageManifest": "{}", "padding": " " * 12 * 2**20}).encode()
    assert 8 * len(body) > dispatch._HELD_BODIES_BYTES
    requests = [ecr.raw(body, target=ECR + "PutImage") for _ in range(8)]
    answers = await asyncio.gather(*(ecr.send(request) for request in requests))

    assert [await code_of(answer) for answer in answers] == [(400, "InvalidParameterException")] * 8


async def test_a_bug_is_a_server_fault_that_tells_nothing(server: Server, ecr: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(dispatch, "_run", broken)
    answer = await ecr.send(ecr.request("DescribeRepositories"))

    assert await code_of(answer) == (500, "ServerException")
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/", "/?Action=GetCallerIdentity&Version=2011-06-15"])
async def test_a_visitor_without_a_signature_is_told_so(server: Server, path: str) -> None:
    async with server.http(authorization=None) as http:
        answer = await http.get(path)

    assert answer.status_code == 403
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text
