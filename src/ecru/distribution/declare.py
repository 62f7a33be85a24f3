"""Routes of ``/v2/``, declared beside their handlers.

Paths are read from their right-hand end: repository names hold slashes, and may hold parts called ``blobs`` or
``manifests``.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ecru.distribution.exchange import Answer, Request
from ecru.errors import MethodNotAllowed, RouteNotFound

Handler: TypeAlias = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: its method, its path as an expression, its guard and its handler."""

    label: str
    method: str
    path: re.Pattern[str]
    actions: tuple[str, ...]
    either: bool
    handler: Handler


_routes: list[Route] = []


def route(method: str, path: str, *, actions: Sequence[str], either: bool = False) -> Callable[[Handler], Handler]:
    """Declare an endpoint.

    Args:
        method: the HTTP method; GET answers HEAD too unless HEAD has a route of its own.
        path: with ``{name}`` for a repository and ``{…}`` for parts without a slash.
        actions: the IAM actions that guard it, on the repository, or for a path without one on all of the registry. None of
            them means that any valid token will do.
        either: one of the actions is enough, rather than all.
    """
    expression = re.sub(r"\\{(\w+)\\}", lambda part: _part(part[1]), re.escape(path))

    def declare(handler: Handler) -> Handler:
        _routes.append(Route(path, method, re.compile(expression, re.DOTALL), tuple(actions), either, handler))
        return handler

    return declare


def _part(name: str) -> str:
    return f"(?P<{name}>.+)" if name == "name" else rf"(?P<{name}>[^/\0]+)"  # which no column of text holds


def all_routes() -> tuple[Route, ...]:
    """Every declared endpoint."""
    return tuple(_routes)


def find_route(request: Request) -> tuple[Route, dict[str, str]]:
    """Find the route of a request.

    Raises:
        RouteNotFound, MethodNotAllowed: there is none for the path, or none for the method.
    """
    allowed: set[str] = set()
    fallback: tuple[Route, dict[str, str]] | None = None
    for candidate in _routes:
        match = candidate.path.fullmatch(request.path)
        if match is None:
            continue
        if candidate.method == request.method:
            return candidate, match.groupdict()
        if candidate.method == "GET" and request.method == "HEAD":
            fallback = candidate, match.groupdict()
        allowed.add(candidate.method)
    if fallback is not None:
        return fallback
    if allowed:
        raise MethodNotAllowed(request.method, ", ".join(sorted(allowed)))
    raise RouteNotFound(request.path)
