"""What a step's code is: TFX keys its cache on inputs and parameters only, so the key carries this as well."""

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
# Module -> the package to install, where that has another name; importlib.metadata takes 0.16 s to work it out.
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
    """Returns what a step's code is: module -> digest of its source, package -> its version.

    Comments and layout do not count; any other change of the source does.

    Args:
        modules: Those of our packages, such as `closure` finds.
        packages: Names to install, beside those that the modules import.
    """
    code, used = {}, set(packages)
    for name in sorted(modules):
        source = _read(name)
        code[name] = source.digest
        used.update(filter(None, map(distribution, source.imports)))
    return code | _versions(used)


def code_and_packages() -> dict[str, str]:
    """Returns what all stages together are made of: file -> digest, package -> version; coarser than `fingerprint`.

    Counts every byte of our sources, and takes a hundredth of the time.
    """
    files = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in SOURCES)
    code = {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}
    required = {re.split(r"[^\w.-]", text)[0] for text in importlib.metadata.requires("headrace") or []}
    return code | _versions(required) | {"python": platform.python_version()}


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in sorted(packages):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of an extra, or another Python's
            found[name] = _version(name)
    return found


@functools.cache  # the stages of a run share most of their packages, too
def _version(name: str) -> str:
    return importlib.metadata.version(name)


def closure(
    modules: Iterable[str], *, by_name: Mapping[str, Sequence[str]] | None = None, excluded: Sequence[str] = ()
) -> set[str]:
    """Returns modules of our packages and, transitively, those that they import, also within functions.

    A module that another names in a text counts as imported: it is run in a process of its own, or handed to a library.

    Args:
        modules: Dotted names to begin with.
        by_name: Module -> those that it imports by a name which is known only while it runs, in place of its texts.
        excluded: Patterns of modules that are left out, and with them what only they import.
    """
    found: set[str] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in found or any(fnmatch.fnmatchcase(name, pattern) for pattern in excluded):
            continue
        found.add(name)
        # Python runs the package of a module before the module.
        queue += [name.rpartition(".")[0]] if "." in name else []
        queue += [*filter(_is_ours, _read(name).imports), *((by_name or {}).get(name) or _named(name))]
    _known.keep()
    return found


def distribution(module: str) -> str | None:
    """Returns the name of the package to install that a module belongs to; None for Python's and our own."""
    top = module.partition(".")[0]
    if top in PACKAGES or top in sys.stdlib_module_names:
        return None
    return DISTRIBUTIONS.get(top, top.replace("_", "-"))


def source_file(name: str) -> Path:
    """Returns the file of a module of ours, whether it is there or not."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache  # as `_read`: a file that appears while a process runs is none of what it runs
def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES and source_file(name).is_file()


def _named(name: str) -> list[str]:
    """Returns the modules that a module names in a text; of a package that can be run also what is run then."""
    texts = _read(name).texts
    return list(filter(_is_ours, (*texts, *(f"{text}.__main__" for text in texts))))


@dataclass(frozen=True)
class _Source:
    """What there is to know of a module's source.

    Attributes:
        digest: Of its syntax tree.
        imports: Dotted names that it imports; of `from a import b` both `a` and `a.b`.
        texts: Texts in it that are dotted names below our packages.
    """

    digest: str
    imports: tuple[str, ...]
    texts: tuple[str, ...]


@functools.cache  # the stages of a run share most of their modules
def _read(name: str) -> _Source:
    return _known.source(source_file(name).read_text(encoding="utf-8"))


class _Known:
    """What was found out about sources, by their content, in the user's cache: parsing takes 0.4 s a run."""

    def __init__(self):
        self._stored: dict[str, str] | None = None
        self._new: dict[str, str] = {}

    def source(self, text: str) -> _Source:
        """Returns what there is to know of a source."""
        key = _key(text)
        if self._stored is None:
            texts = (path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
            self._stored = file_cache.recall(list(map(_key, texts)))
        with contextlib.suppress(KeyError, ValueError, TypeError):  # not stored, or damaged
            digest, imports, texts = json.loads(self._stored[key])
            return _Source(digest, tuple(imports), tuple(texts))
        found = _parsed(text)
        self._new[key] = json.dumps([found.digest, found.imports, found.texts])
        return found

    def keep(self) -> None:
        """Stores what was found out since."""
        file_cache.keep(self._new)
        self._new = {}


_known = _Known()


def _key(text: str) -> str:
    """Returns what identifies a source's text, and the code that looks at it: this module and Python."""
    return hashlib.sha256(f"{_own_code()} {text}".encode()).hexdigest()


@functools.cache
def _own_code() -> str:
    return hashlib.sha256(f"{sys.version} {Path(__file__).read_text(encoding='utf-8')}".encode()).hexdigest()


def _parsed(text: str) -> _Source:
    tree = ast.parse(text)
    imports, texts = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:  # ruff refuses them (TID252): what they mean depends on the folder
                raise ValueError(f"Expected imports by whole names, found a relative one: {ast.unparse(node)}.")
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            texts.append(node.value)
    return _Source(hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12], tuple(imports), tuple(texts))
