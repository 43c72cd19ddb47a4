"""What a step's code is: TFX keys its cache on inputs and parameters only, so the key carries this as well."""

import ast
import contextlib
import hashlib
import importlib.metadata
import platform
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (".py", ".pbtxt")
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


def code_and_packages() -> dict[str, str]:
    """Returns what all stages together are made of: file -> digest, package -> version; coarser than `fingerprint`.

    Counts every byte of our sources, and takes a hundredth of the time.
    """
    files = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in SOURCES)
    code = {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}
    required = {re.split(r"[^\w.-]", text)[0] for text in importlib.metadata.requires("headrace") or []}
    packages = {}
    for name in sorted(required):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of an extra, or another Python's
            packages[name] = importlib.metadata.version(name)
    return code | packages | {"python": platform.python_version()}


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
