"""Every declared error, held against the service model, the specification, and the code that raises it."""

import ast
import dataclasses
import string
from pathlib import Path
from typing import Any

import botocore.session
import pytest

import ecru
from ecru.errors import ApiError
from scripts.reference.pages.errors import all_errors

ERRORS = sorted(all_errors(), key=lambda error: (error.__module__, error.__qualname__))
SHAPES = botocore.session.get_session().get_service_model("ecr")

COMMON = {
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestTimeoutException",
    "UnrecognizedClientException",
    # What services of the JSON protocol answer before they know the operation.
    # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
    "RequestEntityTooLargeException",
    "SerializationException",
    "UnknownOperationException",
    # Of the query protocol. https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
    "MissingAction",
    # Ours: part of the service that is not here yet. Named as other services of AWS name it.
    "UnsupportedOperationException",
}
OCI_CODES = {
    # https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}
# https://distribution.github.io/distribution/spec/api/#errors-2
DOCKER_CODES = {"PAGINATION_NUMBER_INVALID", "RANGE_INVALID", "TAG_INVALID", "UNAVAILABLE", "UNKNOWN"}
SUCCESS = 300

every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def make(error: type[ApiError], **others: object) -> ApiError:
    """Make one with values of the right types that can be told apart."""
    return error(**{name: others.get(name, value) for name, value in samples(error, "one").items()})


def samples(error: type[ApiError], word: str) -> dict[str, Any]:
    """Give a value for each field."""
    values: dict[str, Any] = {}
    for number, field in enumerate(dataclasses.fields(error), 100 if word == "one" else 200):  # type: ignore[arg-type]
        match field.type:
            case type() as kind if kind is int:
                values[field.name] = number
            case type() as kind if kind is str:
                values[field.name] = f"{word} {field.name}"
            case _:
                values[field.name] = [f"{word} {field.name}"]
    return values


def told(error: ApiError) -> object:
    """All that a client can see of an error."""
    return error.text, error.detail, dict(error.aws_members), dict(error.oci_headers), str(error)


@every_error
def test_an_error_fills_every_placeholder_of_its_message(error: type[ApiError]) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(error.message) if name is not None]

    text = make(error).text

    assert all(name.isidentifier() for name in names)
    assert not any(f"{{{name}}}" in text for name in names)


@every_error
def test_every_value_of_an_error_is_told(error: type[ApiError]) -> None:
    for name, other in samples(error, "two").items():
        assert told(make(error)) != told(make(error, **{name: other})), name


@every_error
def test_an_error_has_a_code_that_clients_of_the_aws_api_know(error: type[ApiError]) -> None:
    assert error.aws in COMMON or SHAPES.shape_for(error.aws).metadata.get("exception")


@every_error
def test_the_members_of_an_error_are_those_of_its_shape(error: type[ApiError]) -> None:
    members = make(error).aws_members

    if members:
        assert members.keys() <= SHAPES.shape_for(error.aws).members.keys()


@every_error
def test_an_error_has_a_code_that_clients_of_the_distribution_api_know(error: type[ApiError]) -> None:
    assert error.oci.code in OCI_CODES | DOCKER_CODES or (error.oci.code == "" and error.oci.status < SUCCESS)


@every_error
def test_a_fault_of_the_server_is_one_through_both_doors(error: type[ApiError]) -> None:
    assert (error.oci.status >= 500) == (error.aws_status >= 500)


def raised_names() -> set[str]:
    """Name every class that some line raises, or answers for another line to raise."""
    found: set[str] = set()
    for path in Path(ecru.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            sources = {ast.Raise: "exc", ast.Return: "value"}
            source = getattr(node, sources[type(node)]) if type(node) in sources else None
            if source is not None:
                found |= {name.id for name in ast.walk(source) if isinstance(name, ast.Name)}
    return found


RAISED = raised_names()


@every_error
def test_every_error_is_raised_somewhere(error: type[ApiError]) -> None:
    assert error.__name__ in RAISED
