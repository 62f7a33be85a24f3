"""The Query protocol: forms in, XML out; what botocore writes and reads is among the laws."""

from xml.etree import ElementTree as ET

import pytest
from starlette.responses import Response

from ecru.aws import query
from ecru.aws.authentication import RefusedSignature, UnknownClient, Unsigned
from ecru.aws.faults import InvalidInput, NotSerializable, UnknownOperation
from ecru.aws.model import compile_service, load
from ecru.errors import AccessDenied, ApiError, ServerFault

STS = load("sts")
NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"


def parsed(response: Response) -> ET.Element:
    return ET.fromstring(bytes(response.body))  # noqa: S314 - our own


@pytest.mark.parametrize(
    "encoded, form",
    [
        (b"", {}),
        (b"Action=GetCallerIdentity&Version=2011-06-15", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}),
        (b"a=%C3%A9+%2B&b=", {"a": "é +", "b": ""}),
        (b"a=1&a=2", {"a": "2"}),
    ],
)
def test_a_form_is_read(encoded: bytes, form: dict[str, str]) -> None:
    assert query.read_form(encoded) == form


@pytest.mark.parametrize("encoded", [b"\xff=1", b"a=%FF", b"&".join(b"a%d=1" % number for number in range(1_001))])
def test_what_is_no_form_cannot_be_read(encoded: bytes) -> None:
    with pytest.raises(NotSerializable):
        query.read_form(encoded)


@pytest.mark.parametrize(
    "form, code",
    [
        ({}, "MissingAction"),
        ({"Action": ""}, "MissingAction"),
        ({"Action": "Nonsense", "Version": "2011-06-15"}, "UnknownOperationException"),
        ({"Action": "GetCallerIdentity", "Version": "2010-05-08"}, "UnknownOperationException"),
        ({"Action": "GetCallerIdentity"}, "UnknownOperationException"),
        ({"Action": "PutImage", "Version": "2015-09-21"}, "UnknownOperationException"),
    ],
)
def test_an_operation_needs_action_and_version(form: dict[str, str], code: str) -> None:
    with pytest.raises(UnknownOperation) as raised:
        query.find_operation([load("ecr"), STS], form)

    assert raised.value.aws == code


def read(name: str, **form: str) -> dict[str, object]:
    return query.read_document(STS, STS.operations[name], form)


def test_lists_are_in_the_order_of_their_numbers() -> None:
    document = read(
        "AssumeRole", **{"TransitiveTagKeys.member.10": "b", "TransitiveTagKeys.member.2": "a", "DurationSeconds": "900"}
    )

    assert document == {"TransitiveTagKeys": ["a", "b"], "DurationSeconds": 900}


def test_structures_in_lists_and_unknown_members() -> None:
    form = {
        "Tags.member.1.Key": "k",
        "Tags.member.1.Value": "",
        "Tags.member.x.Key": "no number",
        "Unheard.Of": "1",
        "Policy": "{}",
    }

    assert read("AssumeRole", **form) == {"Tags": [{"Key": "k", "Value": ""}], "Policy": "{}"}


def test_an_empty_list_is_a_name_without_a_value() -> None:
    assert read("AssumeRole", PolicyArns="") == {"PolicyArns": []}


@pytest.mark.parametrize("value", ["abc", "1.5", "9" * 30, "٣"])
def test_what_is_no_number_is_left_for_the_check_to_refuse(value: str) -> None:
    assert read("AssumeRole", DurationSeconds=value) == {"DurationSeconds": value}


@pytest.mark.parametrize(
    "form",
    [
        {"Tags": "x", "Tags.member.1.Key": "k"},
        {"Tags.member.1.Key": "k", "Tags": "x"},
        {".".join("a" * 40): "1"},
    ],
)
def test_members_that_contradict_or_nest_too_deep_are_refused(form: dict[str, str]) -> None:
    with pytest.raises(NotSerializable):
        read("AssumeRole", **form)


def test_an_answer_is_wrapped_in_the_names_of_its_operation() -> None:
    operation = STS.operations["GetCallerIdentity"]
    response = query.answer(STS, operation, {"UserId": "<&>", "Account": "000000000000"}, "the-request")
    root = parsed(response)

    assert response.headers["content-type"].startswith("text/xml")
    assert root.tag == NAMESPACE + "GetCallerIdentityResponse"
    assert root.findtext(f"{NAMESPACE}GetCallerIdentityResult/{NAMESPACE}UserId") == "<&>"
    assert root.findtext(f"{NAMESPACE}ResponseMetadata/{NAMESPACE}RequestId") == "the-request"


def test_times_lists_maps_and_flags_are_written() -> None:
    shapes = {
        "Whole": {
            "type": "structure",
            "members": {
                "at": {"shape": "Time"},
                "names": {"shape": "Names"},
                "counts": {"shape": "Counts"},
                "on": {"shape": "Flag"},
            },
        },
        "Time": {"type": "timestamp"},
        "Text": {"type": "string"},
        "Flag": {"type": "boolean"},
        "Names": {"type": "list", "member": {"shape": "Text"}},
        "Counts": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Number"}},
        "Number": {"type": "integer"},
    }
    metadata = {"protocol": "query", "apiVersion": "1", "endpointPrefix": "probe"}
    operations = {"Probe": {"name": "Probe", "output": {"shape": "Whole"}}}
    service = compile_service("probe", {"metadata": metadata, "operations": operations, "shapes": shapes})
    document = {"at": 1795176000.123, "names": ["a", "b"], "counts": {"k": 1}, "on": True}
    response = query.answer(service, service.operations["Probe"], document, "r")

    assert bytes(response.body).decode() == (
        "<ProbeResponse><at>2026-11-20T12:00:00.123Z</at><names><member>a</member><member>b</member></names>"
        "<counts><entry><key>k</key><value>1</value></entry></counts><on>true</on>"
        "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ProbeResponse>"
    )


@pytest.mark.parametrize(
    "error, code, status, blamed",
    [
        (UnknownClient("x"), "InvalidClientTokenId", 403, "Sender"),
        (RefusedSignature("x"), "SignatureDoesNotMatch", 403, "Sender"),
        (Unsigned("x"), "MissingAuthenticationToken", 403, "Sender"),
        (AccessDenied("a", "sts:X", "*", "because"), "AccessDenied", 403, "Sender"),
        (InvalidInput("x"), "ValidationError", 400, "Sender"),
        (query.MissingAction("x"), "MissingAction", 400, "Sender"),
        (UnknownOperation("x"), "InvalidAction", 400, "Sender"),
        (ServerFault(), "InternalFailure", 500, "Receiver"),
    ],
)
def test_an_error_has_the_code_of_query_services(error: ApiError, code: str, status: int, blamed: str) -> None:
    response = query.refuse(STS, error, "the-request")
    root = parsed(response)

    assert response.status_code == status
    assert root.tag == NAMESPACE + "ErrorResponse"
    assert root.findtext(f"{NAMESPACE}Error/{NAMESPACE}Code") == code
    assert root.findtext(f"{NAMESPACE}Error/{NAMESPACE}Type") == blamed
    assert root.findtext(f"{NAMESPACE}Error/{NAMESPACE}Message") == error.text
    assert root.findtext(f"{NAMESPACE}RequestId") == "the-request"


def test_a_modelled_error_has_the_code_and_status_of_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    error = InvalidInput("no")
    monkeypatch.setattr(error, "aws", "IDPRejectedClaimException", raising=False)
    response = query.refuse(STS, error, "the-request")

    assert (response.status_code, parsed(response).findtext(f"{NAMESPACE}Error/{NAMESPACE}Code")) == (403, "IDPRejectedClaim")


def test_characters_that_xml_has_no_place_for_are_replaced() -> None:
    response = query.refuse(STS, InvalidInput("a\0b\x1f\ufffe\r\n"), "the-request")

    assert parsed(response).findtext(f"{NAMESPACE}Error/{NAMESPACE}Message") == "a\ufffdb\ufffd\ufffd\r\n"
