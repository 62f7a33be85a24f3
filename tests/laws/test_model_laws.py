"""Laws of the compiled service models: over every operation of every service that is served."""

import base64
import keyword
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import cache
from typing import Any
from urllib.parse import urlencode

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecru.aws import json_rpc, query
from ecru.aws.model import LIST_LIMIT, REPLACED_PATTERNS, Fault, Kind, Operation, Service, Shape, compile_service, load, snake

SERVICES = {name: load(name) for name in ("ecr", "ecr-public", "sts")}
OPERATIONS, QUERY_OPERATIONS = (
    [
        pytest.param(service, operation, id=f"{service.name}:{operation.name}")
        for service in SERVICES.values()
        for operation in service.operations.values()
        if service.protocol in protocols
    ]
    for protocols in ({"json", "query"}, {"query"})
)
PATTERNS = sorted({shape["pattern"] for service in SERVICES.values() for shape in service.shapes.values() if "pattern" in shape})

PATIENT = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@cache
def botocore_model(name: str) -> botocore.model.ServiceModel:
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(name, "service-2"), name)


# --- values along a shape ---------------------------------------------------------------------------------------------


@cache
def wire_values(service_name: str, name: str) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one per type
    """Valid JSON values of a shape."""
    shape = SERVICES[service_name].shapes[name]
    match shape["type"]:
        case "structure":
            required = set(shape.get("required", ()))
            members = {wire: wire_values(service_name, member["shape"]) for wire, member in shape["members"].items()}
            structures = st.fixed_dictionaries(
                {wire: values for wire, values in members.items() if wire in required},
                optional={wire: values for wire, values in members.items() if wire not in required},
            )
            # An empty structure leaves no trace in a form.
            return structures.filter(bool) if SERVICES[service_name].protocol == "query" and members else structures
        case "list":
            least = shape.get("min", 0)
            return st.lists(wire_values(service_name, shape["member"]["shape"]), min_size=least, max_size=least + 2)
        case "map":
            keys, values = (wire_values(service_name, shape[part]["shape"]) for part in ("key", "value"))
            return st.dictionaries(keys, values, max_size=2)
        case "string":
            return texts(shape)
        case "integer" | "long":
            return st.integers(shape.get("min", -(2**31)), shape.get("max", 2**31 - 1))
        case "double":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000)
        case "blob":
            return st.binary(max_size=20).map(lambda value: base64.b64encode(value).decode())
        case other:
            raise NotImplementedError(other)


def texts(shape: Shape) -> st.SearchStrategy[str]:
    least = shape.get("min", 0)
    most = min(shape.get("max", 10_000), least + 60)
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    if "pattern" not in shape:
        # XML has no place for control characters and U+FFFE; that they are replaced is tested by itself.
        storable = st.characters(exclude_characters="\0\ufffe\uffff", exclude_categories=["Cs", "Cc"])
        return st.text(storable, min_size=least, max_size=most)
    pattern = REPLACED_PATTERNS.get(shape["pattern"], shape["pattern"])
    if "secretsmanager" in pattern:
        return st.just("arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecr-pullthroughcache/team/key")
    one_set = re.fullmatch(r"((?:\(\?u:)?\[[^\[]+\])[*+](\)?)", pattern)
    if one_set:  # said with the length, or hypothesis would rarely hit it
        pattern = f"{one_set[1]}{{{least},{most}}}{one_set[2]}"
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True).filter(
        lambda text: least <= len(text) <= shape.get("max", 10_000)
    )


@cache
def probe(service_name: str, shape_name: str) -> Operation:
    """An operation whose input and output have one member, ``value``, of the shape."""
    service = SERVICES[service_name]
    metadata = {"protocol": service.protocol, "apiVersion": "1", "endpointPrefix": "probe"}
    shapes = {**service.shapes, "Probe": {"type": "structure", "members": {"value": {"shape": shape_name}}}}
    operation = {"name": "Probe", "input": {"shape": "Probe"}, "output": {"shape": "Probe"}}
    model = {"metadata": metadata, "operations": {"Probe": operation}, "shapes": shapes}
    return compile_service("probe", model).operations["Probe"]


def any_operation() -> st.SearchStrategy[tuple[Service, Operation]]:
    """An operation that has an input."""
    return st.sampled_from(
        [
            (service, operation)
            for service in SERVICES.values()
            for operation in service.operations.values()
            if operation.input_shape is not None
        ]
    )


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_every_member_has_a_keyword_of_its_own(name: str) -> None:
    for shape in load(name).shapes.values():
        keywords = [snake(wire) for wire in shape.get("members", ())]

        assert len(set(keywords)) == len(keywords)
        assert all(word.isidentifier() and not keyword.iskeyword(word) for word in keywords)


# --- patterns ---------------------------------------------------------------------------------------------------------


def hostile_texts(length: int) -> Iterator[str]:
    units = ["a", "A", "0", "*", "-", "_", ".", "/", ":", "=", "+", "@", " "]
    for unit in units + [first + second for first in units for second in units] + ["arn:aws", "a/a-", "-aws"]:
        repeated = unit * (length // len(unit))
        yield repeated
        yield repeated + "!"
        yield "arn:aws:" + repeated + "!"
        yield "arn:aws:secretsmanager:" + repeated + "!"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_can_be_made_to_take_long(pattern: str) -> None:
    matches = re.compile(REPLACED_PATTERNS.get(pattern, pattern), re.ASCII).fullmatch
    # Growing, so that an exponential pattern fails here and does not hang.
    for length in (10, 14, 18, 22, 26, 32, 64, 255, 2048):
        for text in hostile_texts(length):
            assert min(seconds_of(matches, text) for _ in range(3)) < 0.005, f"{length} characters: {text[:80]}"


def seconds_of(matches: Callable[[str], object], text: str) -> float:
    before = time.thread_time()
    matches(text)
    return time.thread_time() - before


@pytest.mark.parametrize("pattern", REPLACED_PATTERNS)
def test_a_replaced_pattern_is_one_of_a_model(pattern: str) -> None:
    assert pattern in PATTERNS


@given(st.text("ab0*._-/ ", max_size=12))
@settings(max_examples=2000)
def test_the_replaced_scanning_filter_means_the_same(text: str) -> None:
    (original,) = (pattern for pattern in REPLACED_PATTERNS if pattern.startswith("^[a-z0-9*]"))

    assert bool(re.fullmatch(original, text)) == bool(re.fullmatch(REPLACED_PATTERNS[original], text))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("unstorable", ["\0", "\ud800"])
def test_no_pattern_lets_text_pass_that_cannot_be_stored(pattern: str, unstorable: str) -> None:
    output_only = {r"^\S+$"}
    if pattern not in output_only:
        assert not re.fullmatch(REPLACED_PATTERNS.get(pattern, pattern), unstorable * 12, re.ASCII)


# --- input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service, operation", OPERATIONS)
@given(data=st.data())
@settings(max_examples=4, suppress_health_check=PATIENT)
def test_a_valid_request_passes_and_keeps_its_values(service: Service, operation: Operation, data: st.DataObject) -> None:
    if operation.input_shape is None:
        return
    document = data.draw(wire_values(service.name, operation.input_shape))
    faults: list[Fault] = []
    keywords = operation.check(document, "", faults)

    assert faults == []
    assert probe(service.name, operation.input_shape).render({"value": keywords}) == {"value": document}


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=PATIENT)
def test_unknown_members_and_nulls_change_nothing(data: st.DataObject) -> None:
    service, operation = data.draw(any_operation())
    assert operation.input_shape is not None
    document = data.draw(wire_values(service.name, operation.input_shape))
    absent = dict.fromkeys(service.shapes[operation.input_shape]["members"])

    assert operation.check(absent | {"unheardOf": [1]} | document, "", []) == operation.check(document, "", [])


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=PATIENT)
def test_no_document_breaks_a_check(data: st.DataObject) -> None:
    service, operation = data.draw(any_operation())
    assert operation.input_shape is not None
    members = service.shapes[operation.input_shape]["members"]
    document = data.draw(ANY_JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(members, ANY_JSON)))
    faults: list[Fault] = []
    operation.check(document, "", faults)

    assert all(fault.constraint for fault in faults)


@pytest.mark.parametrize("name", SERVICES)
def test_a_list_above_its_maximum_is_not_entered(name: str) -> None:
    service = SERVICES[name]
    for shape_name, shape in service.shapes.items():
        if shape["type"] == "list":
            faults: list[Fault] = []
            probe(name, shape_name).check({"value": [None] * (shape.get("max", LIST_LIMIT) + 1)}, "", faults)

            assert [fault.kind for fault in faults] == [Kind.LENGTH], shape_name


@pytest.mark.parametrize("service, operation", QUERY_OPERATIONS)
@given(data=st.data())
@settings(max_examples=10, suppress_health_check=PATIENT)
def test_a_form_that_botocore_writes_is_read_as_the_document_it_was(
    service: Service, operation: Operation, data: st.DataObject
) -> None:
    assert operation.input_shape is not None
    document = data.draw(wire_values(service.name, operation.input_shape))
    model = botocore_model(service.name)
    written = botocore.serialize.create_serializer("query").serialize_to_request(document, model.operation_model(operation.name))
    form = query.read_form(urlencode(written["body"]).encode())

    assert query.find_operation(SERVICES.values(), form) == (service, operation)
    assert query.read_document(service, operation, form) == document


# --- output -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service, operation", OPERATIONS)
@given(data=st.data())
@settings(max_examples=4, suppress_health_check=PATIENT)
def test_botocore_reads_an_answer_as_it_was_meant(service: Service, operation: Operation, data: st.DataObject) -> None:
    if operation.output_shape is None:
        return
    document = data.draw(wire_values(service.name, operation.output_shape))
    keywords = probe(service.name, operation.output_shape).check({"value": document}, "", [])["value"]
    if service.protocol == "json":
        response = json_rpc.answer(operation.render(keywords), "the-request")
    else:
        response = query.answer(service, operation, operation.render(keywords), "the-request")
    model = botocore_model(service.name).operation_model(operation.name).output_shape
    parsed = botocore.parsers.create_parser(service.protocol).parse(
        {"status_code": response.status_code, "headers": dict(response.headers), "body": response.body}, model
    )
    metadata = parsed.pop("ResponseMetadata")

    assert metadata["RequestId"] == "the-request"
    assert as_keywords(service, operation.output_shape, parsed) == keywords


def as_keywords(service: Service, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """What botocore parsed, in the handler's words."""
    shape = service.shapes[name]
    match shape["type"]:
        case "structure":
            return {
                snake(wire): as_keywords(service, shape["members"][wire]["shape"], item)
                for wire, item in value.items()
                if item is not None
            }
        case "list":
            return [as_keywords(service, shape["member"]["shape"], item) for item in value]
        case "map":
            return {key: as_keywords(service, shape["value"]["shape"], item) for key, item in value.items()}
        case "timestamp":
            return value.astimezone(UTC)
        case _:
            return value
