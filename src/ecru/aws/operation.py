"""Operations of the AWS door, declared beside their handlers.

A handler takes the members of the request as keywords, already checked, and answers dataclasses or dicts that are rendered
along the output shape. What it is declared with is all the dispatcher has to know::

    @operation("DeleteRepository", writes=True, resource=named_repository, raises=[RepositoryNotFound, RepositoryNotEmpty])
    def delete_repository(db: Transaction, call: Call, *, repository_name: str, …) -> Answer:

A plain function is given a transaction and is all of it; it may run twice. One that does other I/O is ``async``, is given
no transaction, and asks ``call.deployment.database`` for those it needs.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from ecru.access.authorize import ANY
from ecru.call import Call
from ecru.errors import ApiError, InvalidParameter
from ecru.policy.arn import Arn, InvalidArn, parse_repository_arn, repository_arn

Answer: TypeAlias = Mapping[str, object] | object
Inputs: TypeAlias = Mapping[str, Any]
Resource: TypeAlias = Callable[[Call, Inputs], Sequence[Arn]]
Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Declared:
    """An operation that is built: its handler, and what the dispatcher does around it."""

    service: str
    name: str
    handler: Callable[..., Any]
    writes: bool
    long: bool
    resource: Resource
    actions: tuple[str, ...]
    raises: frozenset[type[ApiError]]

    @property
    def takes_transaction(self) -> bool:
        """Whether the handler is the transaction, rather than one that asks for its own."""
        return not inspect.iscoroutinefunction(self.handler)


_declared: dict[tuple[str, str], Declared] = {}


def operation(
    name: str,
    *,
    resource: Resource,
    raises: Iterable[type[ApiError]] = (),
    writes: bool = False,
    long: bool = False,
    action: str | None = None,
    also: Sequence[str] = (),
) -> Callable[[Handler], Handler]:
    """Declare the handler of an operation.

    Args:
        name: as in the service's model.
        resource: what the principal must be allowed to act upon.
        raises: the errors beside those that every operation may have.
        writes: without it a handler that is the transaction gets a connection that cannot write.
        long: a page may have hundreds of rows, which must not hold up other requests.
        action: the IAM action, where it is not the operation's name; an empty one is asked of nobody.
        also: further IAM actions that are needed.
    """

    def declare(handler: Handler) -> Handler:
        service = handler.__module__.split(".")[2].replace("_", "-")
        own = f"{service}:{name}" if action is None else action
        actions = tuple(each for each in (own, *also) if each)
        _declared[service, name] = Declared(service, name, handler, writes, long, resource, actions, frozenset(raises))
        return handler

    return declare


def find_declared(service: str, name: str) -> Declared | None:
    """Find an operation that is built; None when it is not."""
    return _declared.get((service, name))


def all_declared() -> tuple[Declared, ...]:
    """Every operation that is built."""
    return tuple(_declared.values())


# --- resources ------------------------------------------------------------------------------------------------------


def any_resource(_call: Call, _inputs: Inputs) -> Sequence[Arn]:
    """What actions without a resource type are allowed on: ``*``."""
    return (ANY,)


def named_repository(call: Call, inputs: Inputs) -> Sequence[Arn]:
    """The repository that ``repositoryName`` and ``registryId`` name; it need not exist."""
    return (repository_arn(call.in_registry(inputs.get("registry_id")), inputs["repository_name"]),)


def named_repositories(call: Call, inputs: Inputs) -> Sequence[Arn]:
    """The repositories that ``repositoryNames`` lists, or all of the registry."""
    registry = call.in_registry(inputs.get("registry_id"))
    return [repository_arn(registry, name) for name in inputs.get("repository_names") or ["*"]]


def given_arn(_call: Call, inputs: Inputs) -> Sequence[Arn]:
    """The repository that ``resourceArn`` names; it need not exist.

    Raises:
        InvalidParameter: it names no repository.
    """
    try:
        parse_repository_arn(inputs["resource_arn"])
    except InvalidArn:
        raise InvalidParameter("resourceArn", "Invalid ARN") from None
    return (Arn(inputs["resource_arn"]),)
