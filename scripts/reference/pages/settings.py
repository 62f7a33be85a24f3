"""Every setting of an operator."""

from itertools import groupby

from ecru.cli.flags import rendered_default, section_of
from ecru.settings import PREFIX, Settings, is_secret
from scripts.reference.rendering import render_table

_HEAD = """\
# Settings

Each setting is a variable of the environment, a key in `ecru.toml`, and, unless it is a secret, a flag of `ecru serve`. A flag
comes first, then the variable, then the file, then the default. The file is `ecru.toml` in the working folder, or the one that
`ECRU_CONFIG` names. A setting that is faulty or unknown stops the start; all faults are told at once.

Spans are written `30s`, `24h`, `7d` or `1h30m`; sizes `20MiB` or `5GB`; lists with commas, in the file also as a list.
"""


def render() -> str:
    """Render the page."""
    sections = groupby(Settings.model_fields, key=section_of)
    return _HEAD + "".join(f"\n## {title}\n\n{_table(list(names))}" for title, names in sections)


def _table(names: list[str]) -> str:
    return render_table(["Variable", "Key", "Flag", "Default", "Meaning"], map(_row, names))


def _row(name: str) -> tuple[str, str, str, str, str]:
    field = Settings.model_fields[name]
    flag = "" if is_secret(field) else f"`--{name.replace('_', '-')}`"
    default = rendered_default(name)
    return (
        f"`{PREFIX}{name.upper()}`",
        f"`{name}`",
        flag,
        "" if default is None else f"`{default}`",
        f"{field.description}.",
    )
