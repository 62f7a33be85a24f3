"""Checks and renderings of single shapes; what holds for all operations is among the laws."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest

from ecru.aws.model import Fault, Kind, Operation, compile_service, load, snake

METADATA = {"protocol": "json", "apiVersion": "2015-09-21", "endpointPrefix": "probe", "targetPrefix": "Probe"}


def an_operation(shape: dict[str, Any], **others: dict[str, Any]) -> Operation:
    """An operation with one member, ``theValue``, of the shape, in and out."""
    structure = {"type": "structure", "members": {"theValue": {"shape": "Shape"}}}
    operation = {"name": "Probe", "input": {"shape": "Whole"}, "output": {"shape": "Whole"}}
    shapes = {"Whole": structure, "Shape": shape, **others}
    return compile_service("probe", {"metadata": METADATA, "operations": {"Probe": operation}, "shapes": shapes}).operations[
        "Probe"
    ]


def check(shape: dict[str, Any], value: object, **others: dict[str, Any]) -> tuple[Any, list[Fault]]:
    faults: list[Fault] = []
    return an_operation(shape, **others).check({"theValue": value}, "", faults), faults


@pytest.mark.parametrize(
    "name, keyword",
    [
        ("repositoryName", "repository_name"),
        ("Key", "key"),
        ("imageSizeInBytes", "image_size_in_bytes"),
        ("KMSKeyId", "kms_key_id"),
        ("cvss3Score", "cvss3_score"),
        ("arn", "arn"),
    ],
)
def test_a_member_becomes_a_keyword(name: str, keyword: str) -> None:
    assert snake(name) == keyword


TEXT = {"type": "string"}
SHORT = {"type": "string", "min": 2, "max": 4, "pattern": "[a-z]+"}
COLOUR = {"type": "string", "enum": ["RED", "GREEN"]}
NUMBER = {"type": "integer", "min": 1, "max": 10}
LONG = {"type": "long"}
FLAG = {"type": "boolean"}
TIME = {"type": "timestamp"}
BLOB = {"type": "blob", "max": 3}
LIST = {"type": "list", "member": {"shape": "Item"}, "min": 1, "max": 2}
MAP = {"type": "map", "key": {"shape": "Item"}, "value": {"shape": "Item"}}


@pytest.mark.parametrize(
    "shape, value, converted",
    [
        (TEXT, "", ""),
        (TEXT, "é\U0001f600", "é\U0001f600"),
        (SHORT, "abcd", "abcd"),
        (COLOUR, "RED", "RED"),
        (NUMBER, 1, 1),
        (LONG, 2**63 - 1, 2**63 - 1),
        (FLAG, False, False),
        (TIME, 0, datetime(1970, 1, 1, tzinfo=UTC)),
        (TIME, 1.5, datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        (TIME, "2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        (TIME, "2026-11-20T12:00:00+01:00", datetime(2026, 11, 20, 11, tzinfo=UTC)),
        (BLOB, "AAEC", b"\0\1\2"),
        (BLOB, "", b""),
        (LIST, ["ab"], ["ab"]),
        (MAP, {"ab": "cd", "ef": None}, {"ab": "cd"}),
    ],
)
def test_a_valid_value_is_converted(shape: dict[str, Any], value: object, converted: object) -> None:
    assert check(shape, value, Item=SHORT) == ({"the_value": converted}, [])


@pytest.mark.parametrize(
    "shape, value, kind",
    [
        (TEXT, 1, Kind.TYPE),
        (TEXT, ["a"], Kind.TYPE),
        (TEXT, "a\0b", Kind.PATTERN),
        (TEXT, "\ud800", Kind.PATTERN),
        (SHORT, "a", Kind.LENGTH),
        (SHORT, "abcde", Kind.LENGTH),
        (SHORT, "ABCDE", Kind.LENGTH),  # length before pattern, and one fault is enough
        (SHORT, "abc\n", Kind.PATTERN),  # the whole text, not up to a line's end
        (SHORT, "ab1", Kind.PATTERN),
        ({**SHORT, "pattern": r"\d+"}, "٣٤", Kind.PATTERN),  # digits are those of ASCII
        (COLOUR, "red", Kind.ENUM),
        (COLOUR, "", Kind.ENUM),
        (NUMBER, 0, Kind.RANGE),
        (NUMBER, 11, Kind.RANGE),
        (NUMBER, True, Kind.TYPE),
        (NUMBER, 1.0, Kind.TYPE),
        (NUMBER, "1", Kind.TYPE),
        (NUMBER, 2**31, Kind.TYPE),
        (LONG, 2**63, Kind.TYPE),
        (FLAG, 1, Kind.TYPE),
        (FLAG, "true", Kind.TYPE),
        (TIME, True, Kind.TYPE),
        (TIME, "yesterday", Kind.TYPE),
        (TIME, 1e300, Kind.TYPE),
        (TIME, float("nan"), Kind.TYPE),
        (BLOB, "AAE", Kind.TYPE),
        (BLOB, "AA-_", Kind.TYPE),
        (BLOB, "AAEC\n", Kind.TYPE),
        (BLOB, "AAECAw==", Kind.LENGTH),
        (BLOB, 7, Kind.TYPE),
        (LIST, "ab", Kind.TYPE),
        (LIST, [], Kind.LENGTH),
        (LIST, ["ab"] * 3, Kind.LENGTH),
        (MAP, [], Kind.TYPE),
    ],
)
def test_a_broken_constraint_is_a_fault(shape: dict[str, Any], value: object, kind: Kind) -> None:
    _, faults = check(shape, value, Item=SHORT)

    assert [(fault.path, fault.kind) for fault in faults] == [("theValue", kind)]


def test_every_fault_is_collected_with_its_place() -> None:
    faults: list[Fault] = []
    load("ecr").operations["CreateRepository"].check(
        {"repositoryName": "A" * 3, "tags": [{"Key": "k"}, None, {"Key": 1, "Value": "v"}], "imageTagMutability": "SOFT"},
        "",
        faults,
    )

    assert {(fault.path, fault.kind) for fault in faults} == {
        ("repositoryName", Kind.PATTERN),
        ("tags.1.member.Value", Kind.REQUIRED),
        ("tags.2.member", Kind.REQUIRED),
        ("tags.3.member.Key", Kind.TYPE),
        ("imageTagMutability", Kind.ENUM),
    }


def test_a_secret_is_not_in_its_fault() -> None:
    _, faults = check({**SHORT, "sensitive": True}, "hunter2", Item=SHORT)

    assert "hunter2" not in str(faults)


def test_a_shape_may_contain_itself() -> None:
    tree = {"type": "structure", "members": {"left": {"shape": "Shape"}, "name": {"shape": "Text"}}}
    operation = an_operation(tree, Text=TEXT)
    document = {"theValue": {"left": {"left": {"name": "leaf"}}}}
    keywords = operation.check(document, "", [])

    assert keywords == {"the_value": {"left": {"left": {"name": "leaf"}}}}
    assert operation.render(keywords) == document


@dataclass
class Answer:
    the_value: object
    of_no_member: str = "kept to ourselves"


class Colour(StrEnum):
    RED = "RED"


@pytest.mark.parametrize(
    "shape, value, rendered",
    [
        (TEXT, "text", "text"),
        (COLOUR, Colour.RED, "RED"),
        (NUMBER, 3, 3),
        (TIME, datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC), 1795176000.123),
        (TIME, datetime(2026, 11, 20, 13, tzinfo=timezone(timedelta(hours=1))), 1795176000.0),
        (BLOB, b"\0\1\2", "AAEC"),
        (LIST, [], []),
        (LIST, ("a", "b"), ["a", "b"]),
        (MAP, {"a": "b"}, {"a": "b"}),
    ],
)
@pytest.mark.parametrize("kind", [Answer, lambda value: {"the_value": value}], ids=["dataclass", "dict"])
def test_an_answer_is_rendered(kind: Any, shape: dict[str, Any], value: object, rendered: object) -> None:  # noqa: ANN401 - either
    assert an_operation(shape, Item=TEXT).render(kind(value)) == {"theValue": rendered}


def test_what_is_none_or_absent_is_left_out() -> None:
    operation = an_operation(TEXT)

    assert operation.render({"the_value": None}) == operation.render({}) == operation.render(Answer(None)) == {}


def test_a_misspelt_member_of_an_answer_is_a_bug_that_shows() -> None:
    with pytest.raises(TypeError, match="the_valeu"):
        an_operation(TEXT).render({"the_valeu": "x"})


def test_a_time_without_a_zone_is_a_bug_that_shows() -> None:
    with pytest.raises(ValueError, match="no zone"):
        an_operation(TIME).render({"the_value": datetime(2026, 11, 20)})  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    "model",
    [
        {"metadata": {**METADATA, "protocol": "rest-json"}, "operations": {}, "shapes": {}},
        {
            "metadata": METADATA,
            "operations": {},
            "shapes": {"S": {"type": "structure", "members": {"a": {"shape": "T", "location": "header"}}}},
        },
        {
            "metadata": METADATA,
            "operations": {"Probe": {"name": "Probe", "input": {"shape": "S"}}},
            "shapes": {"S": {"type": "structure", "members": {"a": {"shape": "T"}}}, "T": {"type": "character"}},
        },
    ],
    ids=["protocol", "place of a member", "type"],
)
def test_a_model_that_is_not_understood_is_refused(model: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        compile_service("probe", model)


def test_the_services_are_known_by_what_requests_name() -> None:
    ecr, public, sts = (load(name) for name in ("ecr", "ecr-public", "sts"))

    assert (ecr.target_prefix, ecr.signing_name) == ("AmazonEC2ContainerRegistry_V20150921", "ecr")
    assert (public.target_prefix, public.signing_name) == ("SpencerFrontendService", "ecr-public")
    assert (sts.api_version, sts.signing_name) == ("2011-06-15", "sts")
    assert sts.xml_namespace == "https://sts.amazonaws.com/doc/2011-06-15/"
    assert ecr.operations["PutImage"].action == "ecr:PutImage"
    assert ecr.operations["PutImage"].members["image_manifest"] is True
    assert ecr.operations["PutImage"].members["image_tag"] is False
    assert ecr.errors["ServerException"].status == 500
    assert ecr.errors["InvalidLayerPartException"].members == {
        "registryId",
        "repositoryName",
        "uploadId",
        "lastValidByteReceived",
    }
    assert (sts.errors["IDPRejectedClaimException"].code, sts.errors["IDPRejectedClaimException"].status) == (
        "IDPRejectedClaim",
        403,
    )
    assert not sts.operations["AssumeRoleWithWebIdentity"].signed
