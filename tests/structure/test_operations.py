"""Every declaration of an operation, held against the service's model."""

import inspect

import pytest

from ecru.aws.dispatch import SERVICES
from ecru.aws.faults import COMMON_ERRORS
from ecru.aws.model import load
from ecru.aws.operation import Declared, all_declared

DECLARED = [pytest.param(each, id=f"{each.service}:{each.name}") for each in all_declared()]


@pytest.mark.parametrize("declared", DECLARED)
def test_an_operation_is_one_of_the_model(declared: Declared) -> None:
    assert declared.service in SERVICES
    assert declared.name in load(declared.service).operations


@pytest.mark.parametrize("declared", DECLARED)
def test_the_keywords_of_a_handler_are_the_members_of_the_input(declared: Declared) -> None:
    members = load(declared.service).operations[declared.name].members
    given, *others = _positional(declared)
    keywords = {
        name: parameter.default is parameter.empty
        for name, parameter in inspect.signature(declared.handler).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }

    assert keywords == dict(members)
    assert [given, *others] == (["db", "call"] if declared.takes_transaction else ["call"])


def _positional(declared: Declared) -> list[str]:
    parameters = inspect.signature(declared.handler).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("declared", DECLARED)
def test_an_operation_raises_what_its_model_or_the_common_list_has(declared: Declared) -> None:
    known = load(declared.service).operations[declared.name].errors | COMMON_ERRORS

    assert {error.aws for error in declared.raises} <= known


@pytest.mark.parametrize("declared", DECLARED)
def test_an_error_has_no_members_that_its_shape_has_not(declared: Declared) -> None:
    errors = load(declared.service).errors

    for error in declared.raises:
        if "aws_members" in vars(error):
            assert errors[error.aws].members, f"{error.aws} has a message only"


@pytest.mark.parametrize("declared", DECLARED)
def test_only_a_handler_that_is_the_transaction_says_what_it_needs_of_one(declared: Declared) -> None:
    assert declared.takes_transaction or not (declared.writes or declared.long)


@pytest.mark.parametrize("declared", DECLARED)
def test_a_handler_names_its_page_in_the_api_reference(declared: Declared) -> None:
    assert f"/API_{declared.name}.html" in (inspect.getdoc(declared.handler) or "")


@pytest.mark.parametrize("name, count", [("ecr", 62), ("ecr-public", 23)])
def test_the_model_has_all_operations_of_the_service(name: str, count: int) -> None:
    assert len(load(name).operations) >= count
