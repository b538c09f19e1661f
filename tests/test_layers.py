"""The layers of docs/architecture.md: a module imports from its own folder and from layers below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import easyedit_ice

PACKAGE = Path(easyedit_ice.__file__).parent
LAYERS = (
    ("errors",),
    ("runtime", "factworld"),
    ("model",),
    ("text",),
    ("edit",),
    ("checkpoints", "data"),
    ("precompute", "planning"),
    ("editors",),
    ("easyedit",),
    ("evaluation",),
    ("experts", "testbed", "testing", "verdict"),
    ("book",),
    ("bench",),
    ("ui",),
    ("cli",),
)
FLOOR = {place: floor for floor, places in enumerate(LAYERS) for place in places}


def module_of(path: Path) -> str:
    """A file's module, below the package: ``edit.delta``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(source: str, modules: frozenset[str]) -> Iterator[str]:
    """Modules of the package that a source imports when it runs, wherever in it that stands."""
    tree = ast.parse(source)
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    left_out = {id(node) for block in typing for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in left_out or not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        root, _, module = node.module.partition(".")
        if root == "easyedit_ice":
            for name in node.names:
                below = f"{module}.{name.name}".lstrip(".")
                yield below if below in modules else module


def arrows_up(sources: dict[str, str]) -> list[str]:
    """Imports of a folder that is not below the importing one."""
    modules = frozenset(sources)
    wrong = []
    for module, source in sources.items():
        place = module.partition(".")[0]
        for other in imports_of(source, modules):
            target = other.partition(".")[0]
            if place in FLOOR and target and target != place and FLOOR[target] >= FLOOR[place]:
                wrong.append(f"{module} imports {other}")
    return wrong


def circles(sources: dict[str, str]) -> list[str]:
    """Modules that import each other, directly or by way of others."""
    modules = frozenset(sources)
    arrows = {module: set(imports_of(source, modules)) - {module} for module, source in sources.items()}
    free = set(arrows)
    while leaves := {module for module in free if not arrows[module] & free}:
        free -= leaves
    return sorted(free)


def sources() -> dict[str, str]:
    """The package's modules and what stands in them."""
    return {module_of(path): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def test_every_folder_has_its_layer():
    assert {module.partition(".")[0] for module in sources()} - {"", "__main__", "moved"} <= set(FLOOR)


def test_no_module_imports_from_above_its_layer():
    assert arrows_up(sources()) == []


def test_no_module_is_part_of_a_circle():
    assert circles(sources()) == []


def test_an_import_turned_round_is_noticed():
    turned = sources() | {"text.tokens": "from easyedit_ice.edit.request import EditRequest\n"}

    assert arrows_up(turned) == ["text.tokens imports edit.request"]
    assert "text.tokens" in circles(turned)
