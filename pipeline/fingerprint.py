"""What a step's code is: TFX keys its cache on inputs and parameters only, so the key carries this as well."""

import ast
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "components", "models", "data")


def fingerprint(modules: Iterable[str], distributions: Iterable[str]) -> dict[str, str]:
    """Returns what a step's code is: module -> digest of its source, package -> its version.

    Counted are the modules and all that they import of ours. Comments and layout do not count; any other change of the
    source does.

    Args:
        modules: Dotted names below our packages.
        distributions: Names of installed packages, as pip knows them.
    """
    found = {}
    for name in sorted(closure(modules)):
        tree = ast.parse(_path(name).read_text(encoding="utf-8"))
        found[name] = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]
    return found | {name: importlib.metadata.version(name) for name in sorted(distributions)}


def closure(modules: Iterable[str]) -> set[str]:
    """Returns the modules and, transitively, those of our packages that they import, also within functions."""
    found, queue = set(), list(modules)
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        queue += _imports(name)
    return found


def _imports(name: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(_path(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in PACKAGES and _path(name).is_file()]


def _path(name: str) -> Path:
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
