"""Every error a client can meet."""

import importlib
import pkgutil
from collections.abc import Iterator

import ecru
from ecru.errors import ApiError
from scripts.reference.rendering import first_sentence, render_table

_HEAD = """\
# Errors

What went wrong, as the AWS API says it (`__type`, and the code of botocore's `ClientError`) and as `/v2/` says it
(`errors[0].code`). Words in braces are filled in. Every answer, good or bad, has an `X-Request-Id`, which the log has too.

"""


def render() -> str:
    """Render the page."""
    rows = [
        (f"`{error.aws}`<br>{error.aws_status}", _oci(error), _inline(error.message), first_sentence(error))
        for error in sorted(all_errors(), key=lambda error: (error.aws, error.oci, error.__name__))
    ]
    return _HEAD + render_table(["AWS API", "`/v2/`", "Text", "When"], rows)


def all_errors() -> set[type[ApiError]]:
    """Every declared error, wherever it is declared."""
    for module in pkgutil.walk_packages(ecru.__path__, "ecru."):
        if not module.name.endswith(("__main__", ".env")) and ".versions" not in module.name:
            importlib.import_module(module.name)
    return set(_below(ApiError))


def _below(error: type[ApiError]) -> Iterator[type[ApiError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


def _oci(error: type[ApiError]) -> str:
    status, code = error.oci
    return f"`{code}`<br>{status}" if code else f"no error: {status}"


def _inline(template: str) -> str:
    # Doubled braces are those that stay.
    return f"`{template.replace('{{', '{').replace('}}', '}')}`"
