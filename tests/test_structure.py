"""The structure of the package: imports without circles, and one owner for each evaluator's and generator's name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augface.evaluators import EVALUATORS
from augface.generators import GENERATORS
from augface.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
TOPS = {"augface": "augface", "generators": "augface.generators", "evaluators": "augface.evaluators"}
CONVENIENCES = (
    ("augface.results.schema", "augface.report.render"),
    ("augface.results.schema", "augface.report.plots"),
    ("augface.results.comparison", "augface.report.render"),
)
"""The imports that lead upwards: results show themselves by the report, as pages, in notebooks and as figures."""


def modules() -> dict[str, Path]:
    """Every module of the package by its import name."""
    found = {}
    for top, name in TOPS.items():
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT / top).with_suffix("").parts
            if top == "augface" and parts[0] in ("generators", "evaluators"):  # links to the folders at the top
                continue
            found[".".join([name, *(part for part in parts if part != "__init__")])] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a file imports when it runs, inside functions too; not those of annotations."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in known)
        if isinstance(node, ast.ImportFrom) and node.module in known:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(below & known)
            if below - known:
                found.add(str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle of imports; none where there is no circle."""
    done: set[str] = set()

    def search(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for target in sorted(graph[module]):
            if found := search(target, [*way, module]):
                return found
        done.add(module)
        return []

    return next((found for module in graph if (found := search(module, []))), [])


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    everything = modules()
    return {name: imports(path, set(everything)) - {name} for name, path in everything.items()}


def test_imports_make_no_circle_but_the_declared_ones(graph: dict[str, set[str]]) -> None:
    without = {module: set(targets) for module, targets in graph.items()}
    for module, target in CONVENIENCES:
        assert target in graph[module], "the convenience is gone: take it out of this test"
        without[module].discard(target)
    assert circle(without) == []
    for module, target in CONVENIENCES:
        found = circle({**without, module: without[module] | {target}})
        assert found, "the check itself finds the circle that each convenience makes"


def strings(path: Path) -> Iterator[tuple[str, int]]:
    """The string constants that a module compares, passes or lists, with their lines; no docstrings, no annotations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(part)
        for node in ast.walk(tree)
        for part in [
            *(ast.walk(node.annotation) if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation else ()),
            *(ast.walk(node.returns) if isinstance(node, ast.FunctionDef) and node.returns else ()),
            *((node.value,) if isinstance(node, ast.Expr) else ()),
            *(
                ast.walk(node.value)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
                else ()
            ),
            # streams of random numbers keep the names that they have always had
            *(ast.walk(node) if isinstance(node, ast.Call) and ast.unparse(node.func) in STREAMS else ()),
        ]
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value, node.lineno


STREAMS = ("random_generator", "derive_seed")
OTHER_WORDS = frozenset({"downstream", "diffusers", "onnx"})
"""Names that are words of another meaning, too: a setting, two packages. They must not be compared with."""
UNIT = "images"
"""A name that is a unit of budgets, too, and is not looked for."""


def compared(path: Path) -> Iterator[tuple[str, int]]:
    """The string constants that a module compares with, or selects measurements by."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("select", "first"):
            operands = node.args
        for operand in operands:
            parts = operand.elts if isinstance(operand, ast.Tuple | ast.Set | ast.List) else [operand]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value, part.lineno


@pytest.mark.parametrize("registry", [EVALUATORS, GENERATORS], ids=lambda registry: registry.kind)
def test_names_are_known_to_their_own_files_alone(registry: Registry[Any]) -> None:
    entries = {name: entry for name, entry in registry.entries().items() if entry.built_in and name != UNIT}
    owners = {name: entry.target.partition(":")[0] for name, entry in entries.items()}
    assert len(owners) >= 6
    named = []
    for module, path in modules().items():
        if module not in ("augface.evaluators", "augface.generators"):
            found = [*(one for one in strings(path) if one[0] not in OTHER_WORDS), *compared(path)]
            named += [f"{module}:{line} names {text!r}" for text, line in found if module != owners.get(text, module)]
    assert named == []
