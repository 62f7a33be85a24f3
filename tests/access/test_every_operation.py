"""Every operation and every route, for everybody: nobody, the root of the account, and the root of another one.

The cases are made from the declarations, so that what is declared without a case here fails.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from ecru.access.authorize import ANY
from ecru.aws import dispatch as _dispatch  # noqa: F401 - its handlers declare themselves
from ecru.aws.model import load
from ecru.aws.operation import Declared, all_declared, any_resource
from ecru.distribution import routes as _routes  # noqa: F401 - the same
from ecru.distribution.declare import Route, all_routes
from ecru.oci.digest import digest_of
from tests.access.conftest import NEIGHBOUR, NEIGHBOURS_KEY
from tests.making import a_layer, a_manifest
from tests.wire.aws.caller import Caller, Refused
from tests.wire.serving import ACCOUNT, Server, basic

pytestmark = pytest.mark.anyio

ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/app"
DIGEST = digest_of(a_layer())
UPLOAD = "00000000-0000-0000-0000-000000000000"

# A valid value for each member that some operation requires; an operation of a new kind needs its own here.
SAMPLES: dict[str, Any] = {
    "imageIds": [{"imageTag": "v1"}],
    "imageManifest": a_manifest().decode(),
    "imageTagMutability": "IMMUTABLE",
    "layerDigest": DIGEST,
    "layerDigests": [DIGEST],
    "layerPartBlob": b"x",
    "name": "BLOB_MOUNTING",
    "partFirstByte": 0,
    "partLastByte": 0,
    "repositoryName": "app",
    "resourceArn": ARN,
    "subjectId": {"imageDigest": DIGEST},
    "tagKeys": ["k"],
    "tags": [{"Key": "k", "Value": "v"}],
    "uploadId": UPLOAD,
    "value": "ENABLED",
}

OPERATIONS = [pytest.param(each, id=f"{each.service}:{each.name}") for each in all_declared()]
ON_REPOSITORIES = [
    pytest.param(each, id=f"{each.service}:{each.name}")
    for each in all_declared()
    if {"repository_name", "resource_arn"} & load(each.service).operations[each.name].members.keys()
]
ROUTES = [pytest.param(each, id=f"{each.method} {each.label}") for each in all_routes()]


def members_of(declared: Declared) -> dict[str, Any]:
    """What a call needs, addressed at the default account's registry where the operation lets one say so."""
    service = load(declared.service)
    shape = service.shapes[str(service.operations[declared.name].input_shape)]
    members = {name: SAMPLES[name] for name in shape.get("required", ())}
    return members | ({"registryId": ACCOUNT} if "registryId" in shape["members"] else {})


async def code_of(caller: Caller, declared: Declared) -> str | None:
    try:
        await caller(declared.name, **members_of(declared))
    except Refused as refused:
        return refused.code
    return None


@pytest.mark.parametrize("declared", OPERATIONS)
async def test_nobody_may_do_anything(server: Server, declared: Declared) -> None:
    caller = Caller(server, declared.service)
    request = caller.request(declared.name, **members_of(declared))
    del request.headers["Authorization"]
    with pytest.raises(Refused) as raised:
        caller.read(declared.name, await caller.send(request))

    assert raised.value.code in {"MissingAuthenticationTokenException", "MissingAuthenticationToken"}


@pytest.mark.parametrize("declared", OPERATIONS)
async def test_the_root_of_an_account_may_do_everything_in_it(server: Server, declared: Declared) -> None:
    code = await code_of(Caller(server, declared.service), declared)

    assert code not in {"AccessDeniedException", "AccessDenied", "ServerException", "InternalFailure"}


@pytest.mark.parametrize("declared", OPERATIONS)
async def test_the_root_of_another_account_may_do_nothing_with_its_repositories(server: Server, declared: Declared) -> None:
    code = await code_of(Caller(server, declared.service, NEIGHBOURS_KEY), declared)

    if declared.resource is any_resource:
        assert code is None  # it was about the neighbour's own registry
    else:
        assert code == "AccessDeniedException"


@pytest.mark.parametrize("declared", ON_REPOSITORIES)
async def test_what_may_not_be_seen_does_not_differ_from_what_is_not_there(server: Server, declared: Declared) -> None:
    members = members_of(declared)
    elsewhere = {"repositoryName": "missing", "resourceArn": ARN.replace("app", "missing")}
    missing = members | {name: elsewhere[name] for name in elsewhere.keys() & members.keys()}
    caller = Caller(server, declared.service, NEIGHBOURS_KEY)
    seen, unseen = [await caller.refusal(declared.name, **each) for each in (members, missing)]

    assert (seen.code, seen.message) == (unseen.code, unseen.message.replace("missing", "app"))


@pytest.mark.parametrize("declared", OPERATIONS)
def test_an_operation_on_a_repository_is_asked_for_on_its_arn(declared: Declared) -> None:
    service = load(declared.service)
    operation = service.operations[declared.name]
    names_one = {"repository_name", "repository_names", "resource_arn"} & operation.members.keys()

    assert bool(names_one) == (declared.resource is not any_resource), f"{ANY} guards what names a repository, or the reverse"


# --- /v2/ -------------------------------------------------------------------------------------------------------------


def path_of(route: Route) -> str:
    values = {"name": "app", "reference": "v1", "digest": DIGEST, "upload": UPLOAD}
    return re.sub(r"\{(\w+)\}", lambda part: values[part[1]], route.label)


@pytest.mark.parametrize("route", ROUTES)
async def test_nobody_may_use_a_route(server: Server, route: Route) -> None:
    async with server.http(authorization=None) as http:
        answer = await http.request(route.method, path_of(route))

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("route", ROUTES)
async def test_the_root_of_an_account_may_use_every_route(server: Server, route: Route) -> None:
    async with server.http() as http:
        answer = await http.request(route.method, path_of(route))

    assert answer.status_code not in {401, 403}
    assert answer.status_code < 500


@pytest.mark.parametrize("route", ROUTES)
async def test_the_root_of_another_account_may_use_no_route_to_its_repositories(server: Server, route: Route) -> None:
    token = server.token(access_key_id=NEIGHBOURS_KEY.access_key_id, account_id=NEIGHBOUR)
    host = f"{ACCOUNT}.dkr.ecr.us-east-1.registry.test"
    statuses = []
    for name in ("app", "missing"):
        async with server.http(authorization=basic(token), host=host) as http:
            answer = await http.request(route.method, path_of(route).replace("/app/", f"/{name}/"))
        statuses.append(answer.status_code)

    assert statuses == ([403, 403] if route.actions else [200, 200])


async def test_a_name_in_the_neighbours_registry_is_the_neighbours_own(server: Server) -> None:
    mine = Caller(server, "ecr")
    neighbours = replace(mine, credentials=NEIGHBOURS_KEY)
    await neighbours("CreateRepository", repositoryName="app")
    (repository,) = (await neighbours("DescribeRepositories"))["repositories"]
    await neighbours("DeleteRepository", repositoryName="app")

    assert repository["registryId"] == NEIGHBOUR
    assert len((await mine("DescribeRepositories"))["repositories"]) == 1
