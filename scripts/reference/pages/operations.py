"""Every operation of the AWS services, and which of them are built."""

from typing import Final

from ecru.aws.dispatch import SERVICES
from ecru.aws.faults import COMMON_ERRORS
from ecru.aws.model import Operation, Service, load
from ecru.aws.operation import Declared, find_declared
from scripts.reference.rendering import first_sentence, render_table

_TITLES: Final = {"ecr": "Amazon ECR", "ecr-public": "Amazon ECR Public", "sts": "AWS Security Token Service"}

_HEAD: Final = """\
# Operations

All operations of the services that ecru answers, by the service models of the AWS SDKs, and which of them are built. Of those that
are, every constraint of the model is checked: required members, types, lengths, ranges, patterns, enumerations. One that is not is
answered with `UnsupportedOperationException`, one that no model has with `UnknownOperationException`; nothing is stored and then
ignored.

Beside the errors that its model names, any operation may answer {common}.

"""


def render() -> str:
    """Render the page."""
    common = ", ".join(f"`{name}`" for name in sorted(COMMON_ERRORS))
    return _HEAD.format(common=common) + "\n".join(_section(load(name)) for name in SERVICES)


def _section(service: Service) -> str:
    rows = [_row(operation, find_declared(service.name, operation.name)) for operation in service.operations.values()]
    built = sum(find_declared(service.name, name) is not None for name in service.operations)
    heading = f"## {_TITLES[service.name]}\n\n{built} of {len(service.operations)} operations are built.\n\n"
    return heading + render_table(["Operation", "State", "Needs", "Does"], rows)


def _row(operation: Operation, declared: Declared | None) -> tuple[str, str, str, str]:
    if declared is None:
        return f"`{operation.name}`", "not built", "", ""
    needs = " and ".join(f"`{action}`" for action in declared.actions) or "any valid signature"
    return f"`{operation.name}`", "built", needs, first_sentence(declared.handler)
