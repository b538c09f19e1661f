"""The package keeps to what its oldest Python has, and states one version everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import easyedit_ice

PACKAGE = Path(easyedit_ice.__file__).parent
REPOSITORY = Path(__file__).parents[1]
OLDEST = (3, 10)
NEWER = {
    "asyncio": {"TaskGroup", "timeout", "Runner"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"StrEnum", "ReprEnum", "EnumCheck", "verify", "member", "nonmember"},
    "hashlib": {"file_digest"},
    "importlib.resources.abc": {"ResourceReader", "Traversable", "TraversableResources"},
    "inspect": {"getmembers_static", "markcoroutinefunction"},
    "itertools": {"batched"},
    "logging": {"getLevelNamesMapping", "getHandlerByName"},
    "math": {"cbrt", "exp2", "sumprod", "fma"},
    "operator": {"call"},
    "tomllib": {"load", "loads"},
    "typing": {
        *("Self", "Never", "LiteralString", "Required", "NotRequired", "TypeVarTuple", "Unpack", "assert_never"),
        *("assert_type", "reveal_type", "dataclass_transform", "override", "ReadOnly", "TypeIs", "NoDefault"),
    },
    "builtins": {"ExceptionGroup", "BaseExceptionGroup", "PythonFinalizationError"},
}
"""What modules of the standard library have since 3.11 or later; typing_extensions has the types."""


def newer_than_oldest(source: str) -> list[str]:
    """Names of :data:`NEWER` that a source uses, but for types that are imported for type checkers alone.

    Raises:
        SyntaxError: its syntax is newer.
    """
    found = []
    for node in _that_run(ast.parse(source, feature_version=OLDEST)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found += [f"{node.module}.{own.name}" for own in node.names if own.name in NEWER.get(node.module, ())]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [f"{node.value.id}.{node.attr}"] * (node.attr in NEWER.get(node.value.id, ()))
        elif isinstance(node, ast.Name):
            found += [node.id] * (node.id in NEWER["builtins"])
    return found


def test_no_class_variable_is_without_its_type_which_python_3_10_refuses_in_settings():
    plain = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "ClassVar"
    ]
    assert not plain


def _that_run(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _that_run(child)


def test_no_module_needs_a_newer_python_than_the_oldest_one():
    sources = {path.relative_to(PACKAGE): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}

    newer = {str(path): found for path, source in sources.items() if (found := newer_than_oldest(source))}

    assert len(sources) > 100
    assert not newer


@pytest.mark.parametrize(
    "source",
    [
        "from typing import Self",
        "from importlib.resources.abc import Traversable",
        "import hashlib\nhashlib.file_digest(a, b)",
        "raise ExceptionGroup('', [])",
    ],
)
def test_what_the_oldest_python_lacks_is_seen(source):
    assert newer_than_oldest(source)


@pytest.mark.parametrize("source", ["try:\n    a\nexcept* OSError:\n    b", "type A = int", "def f[T](a: T): ..."])
def test_syntax_that_the_oldest_python_lacks_is_seen(source):
    with pytest.raises(SyntaxError):
        newer_than_oldest(source)


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CITATION.cff", r"^version: (.+)$"),
        ("packaging/conda/meta.yaml", r'^{% set version = "(.+)" %}$'),
        ("CHANGELOG.md", r"^## (\d\S*)"),
    ],
)
def test_every_file_that_states_the_version_states_the_same(file, pattern):
    if not (REPOSITORY / file).is_file():
        pytest.skip(f"{file} is not beside these tests")

    stated = re.search(pattern, (REPOSITORY / file).read_text(encoding="utf-8"), re.M)

    assert stated[1] == easyedit_ice.__version__ == version("easyedit-ice")


def test_type_checkers_are_told_of_the_hints():
    assert (PACKAGE / "py.typed").is_file()
