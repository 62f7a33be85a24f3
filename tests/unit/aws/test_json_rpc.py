"""JSON 1.1: what a body may be, and how answers and errors are written."""

import json

import pytest

from ecru.aws import json_rpc
from ecru.aws.faults import NotSerializable, UnknownOperation
from ecru.aws.model import load
from ecru.errors import InvalidLayerPart, RepositoryNotFound, ServerFault

SERVICES = [load(name) for name in ("ecr", "ecr-public", "sts")]


@pytest.mark.parametrize(
    "target, service",
    [("AmazonEC2ContainerRegistry_V20150921.PutImage", "ecr"), ("SpencerFrontendService.PutImage", "ecr-public")],
)
def test_the_target_names_service_and_operation(target: str, service: str) -> None:
    found, operation = json_rpc.find_operation(SERVICES, target)

    assert (found.name, operation.name) == (service, "PutImage")


@pytest.mark.parametrize(
    "target",
    [
        "",
        ".",
        "PutImage",
        "SpencerFrontendService.GetLifecyclePolicy",
        "AmazonEC2ContainerRegistry_V20150921.putImage",
        "AmazonEC2ContainerRegistry_V20150921.PutImage.PutImage",
        "AWSSecurityTokenServiceV20110615.GetCallerIdentity",
        "x" * 10_000,
    ],
)
def test_an_unknown_target_is_an_unknown_operation(target: str) -> None:
    with pytest.raises(UnknownOperation) as raised:
        json_rpc.find_operation(SERVICES, target)

    assert len(raised.value.text) < 400


@pytest.mark.parametrize("body, document", [(b"", {}), (b"{}", {}), (b' {"a": [1, null]} ', {"a": [1, None]})])
def test_a_body_is_a_json_object(body: bytes, document: object) -> None:
    assert json_rpc.read_document(bytearray(body)) == document


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"{}{}",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": ' * 200_000,
        b"[" * 1_000_000,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_anything_else_cannot_be_read(body: bytes) -> None:
    with pytest.raises(NotSerializable):
        json_rpc.read_document(bytearray(body))


def test_an_answer_is_ascii_with_the_request_id() -> None:
    response = json_rpc.answer({"name": "é"}, "the-request")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert response.headers["x-amzn-requestid"] == "the-request"
    assert response.body == b'{"name":"\\u00e9"}'


def test_an_error_has_its_code_in_body_and_header() -> None:
    response = json_rpc.refuse(RepositoryNotFound("app", "000000000000"), "the-request")

    assert (response.status_code, response.headers["x-amzn-errortype"]) == (400, "RepositoryNotFoundException")
    assert json.loads(bytes(response.body)) == {
        "__type": "RepositoryNotFoundException",
        "message": "The repository with name 'app' does not exist in the registry with id '000000000000'",
    }


def test_an_error_has_the_members_of_its_shape() -> None:
    response = json_rpc.refuse(InvalidLayerPart("u", "app", "000000000000", 10, "byte 12"), "the-request")

    document = json.loads(bytes(response.body))
    assert (document["lastValidByteReceived"], document["uploadId"]) == (9, "u")


def test_a_fault_of_the_server_is_500() -> None:
    assert json_rpc.refuse(ServerFault(), "the-request").status_code == 500


def test_the_largest_part_and_the_largest_manifest_fit_into_their_bodies() -> None:
    ecr = load("ecr")
    part, other_members = 20 * 2**20 * 4 // 3, 4_096

    assert json_rpc.body_limit(ecr.operations["UploadLayerPart"]) > part + other_members
    assert json_rpc.body_limit(ecr.operations["PutImage"]) > len(json.dumps("é" * (2 * 2**20))) + other_members


def test_a_body_that_is_no_manifest_and_no_part_is_small() -> None:
    assert json_rpc.body_limit(load("ecr").operations["BatchGetImage"]) == 2**20


@pytest.mark.parametrize("part", [b"[]", b"{}"])
def test_a_body_of_many_parts_is_not_parsed(part: bytes) -> None:
    body = bytearray(b'{"a":[' + b",".join([part] * json_rpc.MOST_BRACKETS) + b"]}")

    with pytest.raises(NotSerializable, match="more than 250000 lists and structures"):
        json_rpc.read_document(body)
