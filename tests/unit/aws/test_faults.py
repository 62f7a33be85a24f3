"""The words of broken constraints."""

from typing import Any

import pytest

from ecru.aws.faults import InvalidInput, NotSerializable, read_input
from ecru.aws.model import load
from ecru.errors import ApiError

NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"


def refusal(name: str, document: dict[str, Any], service: str = "ecr") -> ApiError:
    loaded = load(service)
    with pytest.raises((InvalidInput, NotSerializable)) as raised:
        read_input(loaded, loaded.operations[name], document)
    return raised.value


@pytest.mark.parametrize(
    "name, document, text",
    [
        (
            "DeleteRepository",
            {"repositoryName": "A/B"},
            f"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '{NAME}''",
        ),
        (
            "PutImageTagMutability",
            {"repositoryName": "app", "imageTagMutability": "SOFT"},
            (
                "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: "
                "[MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]'"
            ),
        ),
        (
            "DeleteRepository",
            {},
            "1 validation error detected: Value null at 'repositoryName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "DescribeImages",
            {"repositoryName": "app", "maxResults": 1001},
            (
                "1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: "
                "Member must have value less than or equal to 1000"
            ),
        ),
        (
            "BatchGetImage",
            {"repositoryName": "app", "imageIds": [{}] * 101},
            (
                "1 validation error detected: Value (with 101 entries) at 'imageIds' failed to satisfy constraint: "
                "Member must have length less than or equal to 100"
            ),
        ),
        (
            "BatchGetImage",
            {"repositoryName": "A", "imageIds": []},
            (
                "2 validation errors detected: Value 'A' at 'repositoryName' failed to satisfy constraint: "
                "Member must have length greater than or equal to 2; Value (with 0 entries) at 'imageIds' failed to satisfy "
                "constraint: Member must have length greater than or equal to 1"
            ),
        ),
    ],
)
def test_a_refusal_names_place_value_and_constraint(name: str, document: dict[str, Any], text: str) -> None:
    error = refusal(name, document)

    assert (error.aws, error.text) == ("InvalidParameterException", text)


@pytest.mark.parametrize("service", ["ecr", "ecr-public"])
def test_every_operation_that_has_members_models_the_error_of_a_broken_constraint(service: str) -> None:
    without = [each for each in load(service).operations.values() if "InvalidParameterException" not in each.errors]

    assert all(not each.members for each in without)


@pytest.mark.parametrize("value", [7, ["app"], {"name": "app"}, True])
def test_another_type_cannot_be_read(value: object) -> None:
    error = refusal("DeleteRepository", {"repositoryName": value})

    assert error.aws == "SerializationException"
    assert "repositoryName" in error.text


def test_a_type_comes_before_what_else_is_wrong() -> None:
    assert refusal("DeleteRepository", {"registryId": "x", "repositoryName": 7}).aws == "SerializationException"


@pytest.mark.parametrize("value", ["x" * 5_000_000, "\ud800" * 300])
def test_a_text_stays_short_and_can_be_sent(value: str) -> None:
    text = refusal("DeleteRepository", {"repositoryName": value}).text

    assert len(text.encode()) < 2_000


def test_of_many_faults_the_first_are_told_and_all_are_counted() -> None:
    text = refusal("TagResource", {"resourceArn": "arn", "tags": [{}] * 500}).text

    assert text.startswith("1000 validation errors detected: ")
    assert len(text) < 2_000
