"""Runs tests on mutants: each in a process forked from one that has imported and collected everything already."""

import ast
import contextlib
import functools
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from tests.mutants.coverage import Coverage
from tests.mutants.operators import Mutation

ROOT = Path(__file__).resolve().parent.parent.parent
MARKS = "not e2e and not long and not gpu"
NAMES = "not workers_of_beam"  # those processes load the module as it is
SLOWER, CPU_S = 5, 5  # CPU seconds of a mutant: so many times those of its tests, and these; ends an endless loop
UNMUTATED_CPU_S = 3600
WALL_S = 600  # ends a wait
SURVIVED, KILLED, BROKEN = 0, 1, 9  # exit codes: tests pass, a test fails, the mutant cannot be run


@dataclass(frozen=True)
class Mutant:
    """A mutated module.

    Attributes:
        path: The module.
        tree: Its parsed source, which the mutation changes.
        mutation: The change.
        tests: Node ids of the tests to run.
        seconds: CPU seconds that these take without the mutation.
    """

    path: Path
    tree: ast.Module
    mutation: Mutation
    tests: Sequence[str]
    seconds: float


def coverage_of(paths: Collection[Path], tests: Sequence[str]) -> tuple[Coverage, list[str]]:
    """Runs tests on modules as they are; returns what they reach, and the names of all modules that they load.

    Raises:
        RuntimeError: A test fails.
    """

    def record() -> tuple[dict, list[str]]:
        coverage = Coverage(paths)
        coverage.start()
        code = _pytest(tests, coverage)
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        if code:
            raise RuntimeError(f"tests fail without a mutation: {' '.join(tests)}")
        return {name: value for name, value in vars(coverage).items() if name != "_lines"}, list(sys.modules)

    facts, modules = in_process(record)
    coverage = Coverage(paths)
    vars(coverage).update(facts)
    return coverage, modules


def exit_codes(mutants: Sequence[Mutant], tests: Sequence[str], modules: Sequence[str]) -> Iterator[int]:
    """Yields the exit code of each mutant's tests, negative for a signal; runs all of them without a mutation first.

    Args:
        mutants: The mutants.
        tests: Files of the tests.
        modules: Modules to import before.

    Raises:
        RuntimeError: A test fails without a mutation.
    """
    reading, writing = os.pipe()
    pid = _fork(lambda: _pytest(tests, _Loop(mutants, modules, writing)), Path(os.devnull))
    os.close(writing)
    with os.fdopen(reading) as lines:
        if int(next(lines, BROKEN)) != SURVIVED:
            raise RuntimeError(f"tests fail without a mutation, in a forked process: {' '.join(tests)}")
        yield from (int(line) for line in lines)
    _wait(pid)


class _Loop:
    """Runs chosen tests on mutants in place of pytest's own loop."""

    def __init__(self, mutants: Sequence[Mutant], modules: Sequence[str], writing: int):
        self._mutants, self._modules, self._writing = mutants, modules, writing

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in self._modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        items = {item.nodeid: item for item in session.items}
        functions = _functions()
        gc.freeze()  # the forked processes share the memory
        every = [item for name, item in items.items() if any(name in mutant.tests for mutant in self._mutants)]
        self._tell(_exit_code(functools.partial(_first_failure, every), cpu_seconds=UNMUTATED_CPU_S))
        for mutant in self._mutants:
            run = functools.partial(_run, mutant, [items[test] for test in mutant.tests], functions)
            code = _exit_code(run, cpu_seconds=int(CPU_S + SLOWER * mutant.seconds))
            self._tell(code)
        return True

    def _tell(self, code: int) -> None:
        os.write(self._writing, f"{code}\n".encode())


def _functions() -> list[FunctionType]:
    """Returns all functions of this project, and empties what they cache: results of the code as it is."""
    every = gc.get_objects()
    for one in every:
        if isinstance(one, functools._lru_cache_wrapper):
            one.cache_clear()
    own = tuple(f"{ROOT / name}/" for name in ("data", "models", "components"))
    return [one for one in every if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(own)]


def _run(mutant: Mutant, items: Sequence[pytest.Item], functions: Sequence[FunctionType]) -> int:
    mutant.mutation.apply()
    if mutant.mutation.is_in_function:
        code = compile(mutant.tree, str(mutant.path), "exec")
        replace_code([one for one in functions if one.__code__.co_filename == str(mutant.path)], code)
        return _first_failure(items)
    import_anew(mutant.path, mutant.tree)
    return KILLED if _pytest(mutant.tests) else SURVIVED


def _first_failure(items: Sequence[pytest.Item]) -> int:
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if item.session.testsfailed:
            return KILLED
    return SURVIVED


def replace_code(functions: Sequence[FunctionType], module: CodeType) -> None:
    """Gives functions of a loaded module the code that they have in another compilation of it.

    Args:
        functions: The functions.
        module: The other compilation, with the same functions on the same lines.
    """
    codes, stack = {}, [module]
    while stack:
        inner = [code for code in stack.pop().co_consts if isinstance(code, CodeType)]
        codes.update({(code.co_qualname, code.co_firstlineno): code for code in inner})
        stack += inner
    for one in functions:
        one.__code__ = codes[one.__code__.co_qualname, one.__code__.co_firstlineno]


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads a module from a parsed tree."""

    def __init__(self, name: str, path: str, tree: ast.Module):
        super().__init__(name, path)
        self._tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._tree, self.path, "exec")


class _Finder:
    """Finds one module, mutated."""

    def __init__(self, path: Path, tree: ast.Module):
        self._name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self._path, self._tree = str(path), tree

    def find_spec(self, name: str, path=None, target=None):
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=_Mutated(name, self._path, self._tree))


def import_anew(path: Path, tree: ast.Module) -> None:
    """Forgets all modules of this project, so that they are imported again, one of them from a parsed tree."""
    own = ("data", "models", "components", "pipeline", "tests", "conftest")
    for name in [name for name in sys.modules if name.split(".")[0] in own and not name.startswith("tests.mutants")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(path, tree))


def _pytest(tests: Sequence[str], *plugins: object) -> int:
    folder = tempfile.mkdtemp(prefix="headrace-mutants-")
    options = [
        "-x",
        "-q",
        "-s",
        "-m",
        MARKS,
        "-k",
        NAMES,
        "-p",
        "no:cacheprovider",
        f"--basetemp={folder}",
        f"--rootdir={ROOT}",
    ]
    try:
        return int(pytest.main([*options, *tests], plugins=list(plugins)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_process(task: Callable):
    """Returns what a function returns in a forked process."""
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder) / "result", Path(folder) / "log.txt"

        def run() -> int:
            result.write_bytes(pickle.dumps(task()))
            return 0

        if _wait(_fork(run, log)):
            raise RuntimeError(log.read_text()[-4000:])
        return pickle.loads(result.read_bytes())


def _exit_code(task: Callable[[], int], *, cpu_seconds: int) -> int:
    def run() -> int:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
        signal.alarm(WALL_S)
        return task()

    return _wait(_fork(run, Path(os.devnull)))


def _fork(task: Callable[[], int], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = BROKEN
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = task()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what its tests have started
    return os.waitstatus_to_exitcode(status)
