"""Finds the pages and renders them, and what they share."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from scripts.reference import pages

FOLDER: Final = Path(__file__).parent.parent.parent / "docs" / "reference"


def render_pages() -> Mapping[str, str]:
    """Render every page, by its file name, with a line that says where it comes from."""
    names = [module.name for module in pkgutil.iter_modules(pages.__path__)]
    return {f"{name}.md": _signed(importlib.import_module(f"{pages.__name__}.{name}").render(), name) for name in names}


def render_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table of Markdown."""
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in [heads, ["---"] * len(heads), *rows])


def first_sentence(thing: object) -> str:
    """The first paragraph of a docstring, on one line and in Markdown's spelling of code."""
    paragraph = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _signed(text: str, name: str) -> str:
    source = f"scripts/reference/pages/{name}.py"
    return f"{text.rstrip()}\n\n<!-- Made by `make reference` from {source}: change that, or what it reads. -->\n"
