"""Fingerprints of the code of a stage. TFX's cache key has only inputs and parameters, so it is added as one."""

import ast
import contextlib
import fnmatch
import functools
import hashlib
import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.files import file_cache

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (".py", ".pbtxt")
PACKAGES = ("pipeline", "components", "models", "data")
# Module -> package to install, if the names differ; importlib.metadata needs 0.16 s to find it.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "google": "protobuf",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "rapidjson": "python-rapidjson",
    "sklearn": "scikit-learn",
    "tensorflow_serving": "tensorflow-serving-api",
    "yaml": "PyYAML",
}
_DOTTED = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


def fingerprint(modules: Iterable[str], packages: Iterable[str] = ()) -> dict[str, str]:
    """Returns the fingerprint of a stage's code: module -> digest of its source, package -> version.

    Comments and layout do not count; any other change of the source does.

    Args:
        modules: Modules of our packages, such as those of `closure`.
        packages: Installed packages in addition to those that the modules import.
    """
    code, package_names = {}, set(packages)
    for name in sorted(modules):
        source = _read(name)
        code[name] = source.digest
        package_names.update(filter(None, map(distribution, source.imports)))
    return code | _versions(package_names)


def code_and_packages() -> dict[str, str]:
    """Returns the fingerprint of all our code: file -> digest, package -> version; coarser than `fingerprint`.

    Every byte of our sources counts; it takes a hundredth of the time.
    """
    files = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in SOURCES)
    code = {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}
    required = {re.split(r"[^\w.-]", text)[0] for text in importlib.metadata.requires("headrace") or []}
    return code | _versions(required) | {"python": platform.python_version()}


def _versions(packages: Iterable[str]) -> dict[str, str]:
    versions = {}
    for name in sorted(packages):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of an extra, or of another Python version
            versions[name] = _version(name)
    return versions


@functools.cache  # the stages of a run share most of their packages, too
def _version(name: str) -> str:
    return importlib.metadata.version(name)


def closure(
    modules: Iterable[str], *, by_name: Mapping[str, Sequence[str]] | None = None, excluded: Sequence[str] = ()
) -> set[str]:
    """Returns the transitive closure of imports within our packages, also of imports within functions.

    A module whose dotted name is a string in another counts as imported: it is run as a process, or given to a library.

    Args:
        modules: Dotted names of the first modules.
        by_name: Module -> modules that it imports by a name computed at run time; replaces the names in its strings.
        excluded: Patterns of modules to leave out, with the modules that only they import.
    """
    visited: set[str] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in visited or any(fnmatch.fnmatchcase(name, pattern) for pattern in excluded):
            continue
        visited.add(name)
        # Python imports the package of a module first.
        queue += [name.rpartition(".")[0]] if "." in name else []
        queue += [*filter(_is_ours, _read(name).imports), *((by_name or {}).get(name) or _modules_in_strings(name))]
    _cache.save()
    return visited


def distribution(module: str) -> str | None:
    """Returns the installed package of a module; None for modules of Python and of ours."""
    top = module.partition(".")[0]
    if top in PACKAGES or top in sys.stdlib_module_names:
        return None
    return DISTRIBUTIONS.get(top, top.replace("_", "-"))


def source_file(name: str) -> Path:
    """Returns the path of a module of our packages, whether or not it exists."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache  # as `_read`: a file that appears during a process is not part of it
def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES and source_file(name).is_file()


def _modules_in_strings(name: str) -> list[str]:
    """Returns the modules whose names are strings in a module, and the `__main__` of such packages."""
    texts = _read(name).texts
    return list(filter(_is_ours, (*texts, *(f"{text}.__main__" for text in texts))))


@dataclass(frozen=True)
class _Source:
    """Digest and references of a module's source.

    Attributes:
        digest: Digest of its syntax tree, 12 hexadecimal digits.
        imports: Imported dotted names; for `from a import b` both `a` and `a.b`.
        texts: Strings that are dotted names within our packages.
    """

    digest: str
    imports: tuple[str, ...]
    texts: tuple[str, ...]


@functools.cache  # the stages of a run share most of their modules
def _read(name: str) -> _Source:
    return _cache.source(source_file(name).read_text(encoding="utf-8"))


class _SourceCache:
    """Parsed sources in the user's cache, by their content; parsing takes 0.4 s a run."""

    def __init__(self):
        self._stored: dict[str, str] | None = None
        self._new: dict[str, str] = {}

    def source(self, text: str) -> _Source:
        """Returns the parsed source of a text, from the cache if possible."""
        key = _key(text)
        if self._stored is None:
            texts = (path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
            self._stored = file_cache.recall(list(map(_key, texts)))
        with contextlib.suppress(KeyError, ValueError, TypeError):  # not stored, or damaged
            digest, imports, texts = json.loads(self._stored[key])
            return _Source(digest, tuple(imports), tuple(texts))
        source = _parsed(text)
        self._new[key] = json.dumps([source.digest, source.imports, source.texts])
        return source

    def save(self) -> None:
        """Stores the sources that were parsed since the last call."""
        file_cache.keep(self._new)
        self._new = {}


_cache = _SourceCache()


def _key(text: str) -> str:
    """Returns the cache key of a source's text, with the code that parses it: this module and Python."""
    return hashlib.sha256(f"{_parser_digest()} {text}".encode()).hexdigest()


@functools.cache
def _parser_digest() -> str:
    return hashlib.sha256(f"{sys.version} {Path(__file__).read_text(encoding='utf-8')}".encode()).hexdigest()


def _parsed(text: str) -> _Source:
    tree = ast.parse(text)
    imports, texts = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:  # ruff refuses them (TID252): their meaning depends on the folder
                raise ValueError(f"Expected imports by whole names, found a relative one: {ast.unparse(node)}.")
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            texts.append(node.value)
    return _Source(hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12], tuple(imports), tuple(texts))
