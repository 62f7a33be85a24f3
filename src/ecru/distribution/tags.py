"""Lists: the tags of a repository, and the repositories of a registry."""

from urllib.parse import quote, urlencode

from ecru.call import Call
from ecru.distribution.declare import route
from ecru.distribution.exchange import Answer, Request, as_json
from ecru.errors import InvalidPageSize
from ecru.metadata import images, repositories
from ecru.metadata.database import Transaction
from ecru.oci.names import Tag
from ecru.policy.arn import Registry

_DEFAULT_PAGE = 1_000
_LARGEST_PAGE = 10_000


def _page_size(request: Request) -> int:
    """How many entries ``n`` asks for, up to the most that one page has.

    Raises:
        InvalidPageSize: it is no whole number.
    """
    text = request.first("n")
    if text is None:
        return _DEFAULT_PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 20):  # noqa: PLR2004 - longer ones are mistakes
        raise InvalidPageSize(text[:40])
    return min(int(text), _LARGEST_PAGE)


def _next_page(path: str, size: int, last: str) -> dict[str, str]:
    return {"Link": f'<{quote(path)}?{urlencode({"n": size, "last": last})}>; rel="next"'}


@route("GET", "/v2/{name}/tags/list", actions=["ecr:ListImages"])
async def list_tags(request: Request, call: Call, *, name: str) -> Answer:
    """List tags in byte order, in pages.

    ``end-8``. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
    """
    size, last = _page_size(request), request.first("last") or ""

    def load(db: Transaction, registry: Registry) -> list[Tag]:
        repository = repositories.get(db, registry, name)
        return images.list_tag_names(db, repository.id, after=last, limit=size + 1) if size else []

    tags = await call.deployment.database.read(load, call.registry)
    headers = _next_page(f"/v2/{name}/tags/list", size, tags[size - 1]) if len(tags) > size else {}
    return as_json(200, {"name": name, "tags": tags[:size]}, headers)


@route("GET", "/v2/_catalog", actions=["ecr:DescribeRepositories"])
async def list_repositories(request: Request, call: Call) -> Answer:
    """List the repositories of a registry by name, in pages; not part of OCI, but of docker's API and of ECR."""
    size, last = _page_size(request), request.first("last") or ""

    def load(db: Transaction, registry: Registry) -> list[str]:
        found = repositories.list_page(db, registry, after=last, limit=size + 1) if size else []
        return [repository.name for repository in found]

    names = await call.deployment.database.read(load, call.registry)
    headers = _next_page("/v2/_catalog", size, names[size - 1]) if len(names) > size else {}
    return as_json(200, {"repositories": names[:size]}, headers)


@route("GET", "/v2/", actions=[])
@route("GET", "/v2", actions=[])
async def check_api(request: Request, call: Call) -> Answer:  # noqa: ARG001
    """Answer the probe of every client: any valid token will do.

    ``end-1``.
    """
    return as_json(200, {})
