"""Names in the sources are the things' own: none of the words that say nothing of what they hold."""

import ast
from pathlib import Path

from tests.conftest import ROOT

# `expected` and `found` are a pair: of a cell's problem and of a message. The other words have no such use.
# `found` of doctor is a key of its --json.
VAGUE = {"told", "took", "asked", "there", "whole", "aside", "badness", "trial", "guard", "fire", "made_of"}
FOLDERS = ("data", "models", "components", "pipeline", "benchmarks", "docs", "tests")


def _names(tree: ast.AST) -> list[tuple[int, str]]:
    """Returns line and name of every variable, parameter, function and class that a module defines."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.id))
        elif isinstance(node, ast.arg):
            names.append((node.lineno, node.arg))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append((node.lineno, node.name))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.attr))
    return names


def _is_vague(name: str, names: set[str]) -> bool:
    name = name.lstrip("_")
    return name in VAGUE or (name == "found" and "expected" not in names and "Finding" not in names)


def test_names_say_what_they_hold():
    vague = []
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        names = _names(ast.parse(Path(path).read_text()))
        defined = {name.lstrip("_") for _, name in names}
        vague += [f"{path.relative_to(ROOT)}:{line} {name}" for line, name in names if _is_vague(name, defined)]
    assert not vague, "\n".join(vague)
