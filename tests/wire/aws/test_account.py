"""Resource tags, account settings, the registry, and tokens for registry clients."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ecru.oci.digest import digest_of
from tests.wire.aws.caller import Caller
from tests.wire.serving import HOST, Server

pytestmark = pytest.mark.anyio

ARN = "arn:aws:ecr:us-east-1:000000000000:repository/app"
MISSING = "arn:aws:ecr:us-east-1:000000000000:repository/missing"
FOREIGN = "arn:aws:ecr:us-east-1:111111111111:repository/app"


# --- resource tags ----------------------------------------------------------------------------------------------------


async def tags(ecr: Caller) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in (await ecr("ListTagsForResource", resourceArn=ARN))["tags"]}


async def test_tags_are_added_replaced_and_removed(ecr: Caller) -> None:
    first = await ecr("TagResource", resourceArn=ARN, tags=[{"Key": "team", "Value": "web"}, {"Key": "Team", "Value": ""}])
    await ecr("TagResource", resourceArn=ARN, tags=[{"Key": "team", "Value": "a b+c-d=e.f_g:h/i@é"}])
    before = await tags(ecr)
    removed = await ecr("UntagResource", resourceArn=ARN, tagKeys=["team", "unknown"])

    assert first == removed == {}
    assert before == {"team": "a b+c-d=e.f_g:h/i@é", "Team": ""}
    assert await tags(ecr) == {"Team": ""}


async def test_a_repository_has_at_most_fifty_tags(ecr: Caller) -> None:
    fifty = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    await ecr("TagResource", resourceArn=ARN, tags=fifty)
    refusal = await ecr.refusal("TagResource", resourceArn=ARN, tags=[{"Key": "one more", "Value": "v"}])
    await ecr("TagResource", resourceArn=ARN, tags=[{"Key": "k0", "Value": "replaced"}])

    assert refusal.code == "TooManyTagsException"
    assert len(await tags(ecr)) == 50


@pytest.mark.parametrize(
    "given, code",
    [
        ([{"Key": "", "Value": "v"}], "InvalidTagParameterException"),
        ([{"Key": "k" * 129, "Value": "v"}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "a\tb"}], "InvalidTagParameterException"),
        ([{"Key": "aws:k", "Value": "v"}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "v"}] * 2, "InvalidTagParameterException"),
        ([{"Key": "k"}], "InvalidParameterException"),
        ([{"Key": "k", "Value": "a\0b"}], "InvalidParameterException"),
        ([{"Key": "k", "Value": "v"}] * 1_001, "InvalidParameterException"),
        ([{"Key": f"k{number}", "Value": "v"} for number in range(51)], "TooManyTagsException"),
    ],
)
async def test_a_tag_against_the_rules_is_refused(ecr: Caller, given: list[dict[str, str]], code: str) -> None:
    assert (await ecr.refusal("TagResource", resourceArn=ARN, tags=given)).code == code
    assert await tags(ecr) == {}


@pytest.mark.parametrize(
    "name, members",
    [
        ("TagResource", {"tags": [{"Key": "k", "Value": "v"}]}),
        ("UntagResource", {"tagKeys": ["k"]}),
        ("ListTagsForResource", {}),
    ],
)
@pytest.mark.parametrize(
    "arn, code",
    [
        (MISSING, "RepositoryNotFoundException"),
        (FOREIGN, "AccessDeniedException"),
        ("app", "InvalidParameterException"),
        ("", "InvalidParameterException"),
        ("arn:aws:s3:::app", "InvalidParameterException"),
    ],
)
async def test_only_a_repository_that_is_there_has_tags(
    ecr: Caller, name: str, members: dict[str, Any], arn: str, code: str
) -> None:
    assert (await ecr.refusal(name, resourceArn=arn, **members)).code == code


async def test_what_is_no_arn_is_told_in_ecrs_words(ecr: Caller) -> None:
    refusal = await ecr.refusal("ListTagsForResource", resourceArn="app")

    assert refusal.message == "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'"


@pytest.mark.parametrize("keys", [["aws:k"], ["", "k"], ["k" * 129]])
async def test_a_key_that_no_tag_has_is_refused(ecr: Caller, keys: list[str]) -> None:
    assert (await ecr.refusal("UntagResource", resourceArn=ARN, tagKeys=keys)).code == "InvalidTagParameterException"


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value", [("BLOB_MOUNTING", "DISABLED"), ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE"), ("REGISTRY_POLICY_SCOPE", "V2")]
)
async def test_a_setting_has_ecrs_default(ecr: Caller, name: str, value: str) -> None:
    assert await ecr("GetAccountSetting", name=name) == {"name": name, "value": value}


async def test_a_setting_is_kept(ecr: Caller) -> None:
    put = await ecr("PutAccountSetting", name="BLOB_MOUNTING", value="ENABLED")

    assert put == await ecr("GetAccountSetting", name="BLOB_MOUNTING") == {"name": "BLOB_MOUNTING", "value": "ENABLED"}


@pytest.mark.parametrize(
    "name, members, code",
    [
        ("GetAccountSetting", {"name": "NONSENSE"}, "InvalidParameterException"),
        ("GetAccountSetting", {}, "InvalidParameterException"),
        ("PutAccountSetting", {"name": "NONSENSE", "value": "x"}, "InvalidParameterException"),
        ("PutAccountSetting", {"name": "BLOB_MOUNTING", "value": "MAYBE"}, "InvalidParameterException"),
        ("PutAccountSetting", {"name": "BLOB_MOUNTING"}, "InvalidParameterException"),
        ("PutAccountSetting", {"name": "REGISTRY_POLICY_SCOPE", "value": "V1"}, "UnsupportedOperationException"),
        ("PutAccountSetting", {"name": "BASIC_SCAN_TYPE_VERSION", "value": "CLAIR"}, "InvalidParameterException"),
    ],
)
async def test_a_setting_that_is_not_is_refused(ecr: Caller, name: str, members: dict[str, str], code: str) -> None:
    assert (await ecr.refusal(name, **members)).code == code


async def test_the_registry_is_described(ecr: Caller) -> None:
    assert await ecr("DescribeRegistry") == {"registryId": "000000000000", "replicationConfiguration": {"rules": []}}


# --- tokens -----------------------------------------------------------------------------------------------------------


async def test_a_token_opens_the_other_door_for_twelve_hours(server: Server, ecr: Caller) -> None:
    asked_at = datetime.now(UTC)
    (data,) = (await ecr("GetAuthorizationToken"))["authorizationData"]
    async with server.http(authorization=f"Basic {data['authorizationToken']}") as http:
        answer = await http.get("/v2/app/tags/list")

    assert answer.status_code == 200
    assert data["proxyEndpoint"] == f"http://{HOST}"
    assert timedelta() <= data["expiresAt"] - asked_at - timedelta(hours=12) < timedelta(minutes=1)


async def test_a_token_is_of_the_form_that_clients_take_apart(ecr: Caller) -> None:
    """The aws CLI splits at every colon and takes two parts."""
    (data,) = (await ecr("GetAuthorizationToken"))["authorizationData"]
    user, password = base64.b64decode(data["authorizationToken"]).decode().split(":")

    assert user == "AWS"
    assert len(password) < 1_000


async def test_each_registry_that_is_asked_for_has_an_element(ecr: Caller) -> None:
    data = (await ecr("GetAuthorizationToken", registryIds=["000000000000", "111111111111"]))["authorizationData"]

    assert len(data) == 2


@pytest.mark.parametrize("ids", [[], ["x"], ["000000000000"] * 11])
async def test_registry_ids_are_one_to_ten_account_ids(ecr: Caller, ids: list[str]) -> None:
    assert (await ecr.refusal("GetAuthorizationToken", registryIds=ids)).code == "InvalidParameterException"


async def test_mounting_follows_the_account_setting(server: Server, ecr: Caller) -> None:
    await server.create_repository("other")
    async with server.http() as http:
        content = b"a layer"
        pushed = await http.post("/v2/app/blobs/uploads/", params={"digest": digest_of(content)}, content=content)
        assert pushed.status_code == 201
        before = await _mount(http, content)
        await ecr("PutAccountSetting", name="BLOB_MOUNTING", value="ENABLED")
        after = await _mount(http, content)

    assert (before.status_code, after.status_code) == (202, 201)


async def _mount(http: httpx.AsyncClient, content: bytes) -> httpx.Response:
    return await http.post("/v2/other/blobs/uploads/", params={"mount": digest_of(content), "from": "app"})
