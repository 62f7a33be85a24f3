"""Every route of ``/v2/``."""

from ecru.distribution import routes as _declared  # noqa: F401 - declares them
from ecru.distribution.declare import Route, all_routes
from scripts.reference.rendering import first_sentence, render_table

_HEAD = """\
# Routes of `/v2/`

What a principal needs is an IAM action on the ARN of the repository, `arn:aws:ecr:REGION:ACCOUNT:repository/NAME`; for a route
without a repository, on that of all, `…:repository/*`. A POST with `digest` needs all three actions of an upload, a PUT with bytes
`ecr:UploadLayerPart` too, and a mount `ecr:GetDownloadUrlForLayer` on the repository it comes from.

GET answers HEAD too. Errors are those of [the page of errors](errors.md); where ECR and the specification differ,
[fidelity](../fidelity.md) says what is done here.

"""


def render() -> str:
    """Render the page."""
    rows = [(f"`{route.method}`", f"`{route.label}`", _needed(route), first_sentence(route.handler)) for route in all_routes()]
    return _HEAD + render_table(["Method", "Path", "Needs", "Does"], rows)


def _needed(route: Route) -> str:
    if not route.actions:
        return "any valid token"
    return (" or " if route.either else " and ").join(f"`{action}`" for action in route.actions)
