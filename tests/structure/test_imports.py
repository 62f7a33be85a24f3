"""Imports go downwards only: the layers of docs/architecture.md, held against the real tree."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ecru

SOURCE = Path(ecru.__file__).parent
ARCHITECTURE = SOURCE.parent.parent / "docs" / "architecture.md"
PURE = ("oci", "policy", "rules", "sigv4")
# Clocks, randomness, files, sockets, other processes, other threads.
IMPURE = {
    *("asyncio", "concurrent.futures", "multiprocessing", "signal", "subprocess", "sys", "threading"),
    *("io", "logging", "os", "pathlib", "shutil", "sqlite3", "tempfile"),
    *("http", "select", "selectors", "socket", "ssl", "urllib.request"),
    *("random", "secrets", "time", "uuid"),
}
NOW = frozenset({"now", "today", "utcnow"})


def read_modules() -> Mapping[str, ast.Module]:
    """Parse every module of the package, by its dotted name."""
    return {
        ".".join(("ecru", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in SOURCE.rglob("*.py")
    }


MODULES = read_modules()


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Name everything a module imports, inside of functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def part_of(module: str) -> str:
    """The package or single module below ``ecru`` that a module belongs to."""
    return module.split(".")[1]


def read_layers(text: str) -> Sequence[Sequence[str]]:
    """Read the layers, highest first: the block after the heading that says so, one layer to a line."""
    block = re.search(r"## Layers\n.*?```\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [[name.strip() for name in line.split("|")] for line in block[1].splitlines()]


LAYERS = read_layers(ARCHITECTURE.read_text())
HEIGHTS = {name: -position for position, names in enumerate(LAYERS) for name in names}
EDGES = sorted(
    (module, imported)
    for module, tree in MODULES.items()
    for imported in set(imports_of(tree))
    if imported.startswith("ecru.") and module not in {"ecru", "ecru.__main__"}
)


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {part_of(module) for module in MODULES if module not in {"ecru", "ecru.__main__"}}

    assert sorted(HEIGHTS) == sorted(parts)
    assert len(HEIGHTS) == sum(map(len, LAYERS)), "a part stands in two layers"


def test_imports_go_downwards_only() -> None:
    upwards = [
        f"{module} imports {imported}"
        for module, imported in EDGES
        if part_of(module) != part_of(imported) and HEIGHTS[part_of(module)] <= HEIGHTS[part_of(imported)]
    ]

    assert upwards == []


def test_modules_import_each_other_in_no_circle() -> None:
    needs: dict[str, set[str]] = {}
    for module, imported in EDGES:
        needs.setdefault(module, set()).add(imported)

    assert set(TopologicalSorter(needs).static_order()) >= needs.keys()


def test_only_the_top_reads_settings() -> None:
    readers = {part_of(module) for module, imported in EDGES if imported == "ecru.settings"}

    assert min(HEIGHTS[reader] for reader in readers) == HEIGHTS["app"]


def test_metadata_knows_locations_and_no_bytes() -> None:
    assert {imported for module, imported in EDGES if part_of(module) == "metadata" and part_of(imported) == "blobs"} == {
        "ecru.blobs.store"
    }


@pytest.mark.parametrize("part", PURE)
def test_rules_do_no_input_or_output_and_read_no_clock(part: str) -> None:
    for module, tree in MODULES.items():
        if module.startswith(f"ecru.{part}"):
            assert not IMPURE & set(imports_of(tree)), module
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            assert not any(isinstance(call, ast.Attribute) and call.attr in NOW for call in calls), module
            assert not any(isinstance(call, ast.Name) and call.id in {"open", "print", "input"} for call in calls), module
