"""Everything is documented, and what the documents say is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecru.distribution import routes as _declared  # noqa: F401 - declares them
from ecru.distribution.declare import all_routes
from ecru.settings import Settings
from scripts.reference.pages.errors import all_errors
from scripts.reference.rendering import FOLDER, render_pages

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "ecru"
DOCS = ROOT / "docs"

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
SOURCES = sorted(SOURCE.rglob("*.py"))
PACKAGES = [path for path in SOURCES if path.name == "__init__.py"]
REFERENCE = render_pages()

# The version is one fact of the package itself.
NOT_ONLY_A_DOCSTRING = {SOURCE / "__init__.py"}


def shown(path: Path) -> str:
    """Name a file in the names of tests."""
    return str(path.relative_to(ROOT))


# --- the code -------------------------------------------------------------------------------------------------------


def undocumented(tree: ast.AST, path: str) -> Iterator[str]:
    """Name what is public and has no docstring; what overrides has that of what it overrides."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        overrides = any(isinstance(each, ast.Name) and each.id in {"override", "overload"} for each in node.decorator_list)
        if not overrides and ast.get_docstring(node) is None:
            yield f"{path}:{node.lineno} {node.name}"
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node, path)


def test_everything_public_has_a_docstring() -> None:
    missing = [found for path in SOURCES for found in undocumented(ast.parse(path.read_text()), shown(path))]

    assert missing == []


def test_every_module_has_a_docstring() -> None:
    assert [shown(path) for path in SOURCES if ast.get_docstring(ast.parse(path.read_text())) is None] == []


@pytest.mark.parametrize("path", PACKAGES, ids=shown)
def test_a_package_says_what_it_is_for_and_does_nothing(path: Path) -> None:
    body = ast.parse(path.read_text()).body

    assert len(body) == 1 or path in NOT_ONLY_A_DOCSTRING


# --- what is declared -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_a_page_of_reference_is_what_the_code_declares(name: str) -> None:
    assert (FOLDER / name).read_text() == REFERENCE[name], "run `make reference`"


def test_no_page_of_reference_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == REFERENCE.keys()


def test_every_route_is_documented() -> None:
    assert [route.label for route in all_routes() if f"| `{route.method}` | `{route.label}` |" not in REFERENCE["routes.md"]] == []


def test_every_error_is_documented() -> None:
    assert [error.__name__ for error in all_errors() if f"`{error.aws}`" not in REFERENCE["errors.md"]] == []


def test_every_setting_is_documented() -> None:
    assert [name for name in Settings.model_fields if f"`ECRU_{name.upper()}`" not in REFERENCE["settings.md"]] == []


# --- the pages ------------------------------------------------------------------------------------------------------

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    """Drop blocks and spans of code, in which nothing is a link."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors_of(path: Path) -> set[str]:
    """Name the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(without_code(page.read_text())):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page

            assert found.exists(), target
            assert not anchor or anchor in anchors_of(found), target


def test_the_pages_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        if page.suffix == ".md":
            targets = (target.partition("#")[0] for target in LINK.findall(page.read_text()) if "://" not in target)
            waiting += [(page.parent / target).resolve() for target in targets if target]

    assert [shown(page) for page in PAGES if page not in reached and page.parent not in reached] == []


RECORDS = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("record", RECORDS, ids=shown)
def test_a_decision_is_in_the_index_under_its_title(record: Path) -> None:
    number, title = record.read_text().splitlines()[0].removeprefix("# ").split(". ", 1)

    assert record.name.startswith(f"{int(number):04}-")
    assert f"| {int(number)} | [{title}]({record.name}) |" in (DOCS / "adr" / "README.md").read_text()


def test_the_decisions_that_the_code_names_exist() -> None:
    named = {
        int(number)
        for path in [*SOURCES, *PAGES]
        for number in re.findall(r"\bADR (\d+)|\badr/(\d{4})", path.read_text())
        for number in number
        if number
    }

    assert named <= {int(record.name[:4]) for record in RECORDS}


def test_the_tests_that_a_page_names_exist() -> None:
    every_test = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for page in PAGES:
        for name in re.findall(r"`(test_\w+)`", page.read_text()):
            assert f"def {name}(" in every_test, f"{shown(page)} names {name}"


def test_fidelity_names_a_test_for_every_row() -> None:
    rows = [line for line in (DOCS / "fidelity.md").read_text().splitlines() if line.startswith("| ") and "---" not in line]
    heads = [row for row in rows if row.endswith("| Test |")]

    assert len(rows) > 2 * len(heads) > 0
    assert [row for row in rows if row not in heads and "`test_" not in row.rpartition(" | ")[2]] == []


# --- what nobody should read anywhere -------------------------------------------------------------------------------

# Written so that this file is none of those it looks for.
FORBIDDEN = {
    "the host of a package registry": r"pypi\.org|pythonhosted\.org|registry\.npmjs|proxy\.golang|crates\.io|conda\.anaconda",
    "a path of somebody's machine": r"(?<![\w.])/(?:work|root|home|Users)/(?!%)[\w.]",
    "the number of an issue": r"\b[Ii]ssue #?\d",
}


def committed() -> Iterator[Path]:
    """Name every text that is ours."""
    for folder in ("src", "tests", "docs", "scripts", "requirements", ".ci"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix not in {".pyc", ".gz", ".db"})
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml", ".in", ""})


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{shown(path)}: {match[0]}"
        for path in committed()
        if path != Path(__file__)
        for match in pattern.finditer(path.read_text(errors="replace"))
    ]

    assert found == []


def test_the_licence_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
