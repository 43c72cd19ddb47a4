"""Which lines of some modules the tests reach, and how long each of them takes."""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

import pytest

from tests.mutants.operators import Mutation

Line = tuple[str, int]
"""Path of a module, and a line of it."""


class Coverage:
    """Records lines of modules and CPU seconds of tests, as a plugin of pytest.

    Attributes:
        of_test: Node id of a test -> lines that it runs.
        of_file: Test file -> lines that run while its tests are set up, for fixtures that several of them share.
        at_import: Lines of functions that run while their module is imported.
        seconds: Node id of a test -> CPU seconds.
    """

    def __init__(self, paths: Collection[Path]):
        self._paths = frozenset(map(str, paths))
        self.of_test: dict[str, set[Line]] = defaultdict(set)
        self.of_file: dict[str, set[Line]] = defaultdict(set)
        self.at_import: set[Line] = set()
        self.seconds: dict[str, float] = {}
        self._lines = self.at_import

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        self._lines = self.of_file[item.nodeid.partition("::")[0]]
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        self._lines, started = self.of_test[item.nodeid], time.process_time()
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.seconds[item.nodeid] = time.process_time() - started

    def start(self) -> None:
        """Begins to record; `pytest_runtest_call` sets the tracer again, since tests may replace it."""
        sys.settrace(self._trace)
        threading.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _) -> Callable | None:
        path = frame.f_code.co_filename
        if path not in self._paths:
            return None
        lines = self.at_import if self._is_importing(frame) else self._lines

        def record(frame: FrameType, event: str, _) -> Callable:
            lines.add((path, frame.f_lineno))
            return record

        return record(frame, event, _)

    def _is_importing(self, frame: FrameType | None) -> bool:
        while frame:
            if frame.f_code.co_name == "<module>" and frame.f_code.co_filename in self._paths:
                return True
            frame = frame.f_back
        return False

    def tests_of(self, path: Path, mutation: Mutation, seconds: float) -> list[str]:
        """Returns the tests that reach a mutation, the quickest first, as many as take `seconds` together, but one at
        least; of a statement that runs on import all tests reach it.
        """
        lines = {(str(path), line) for line in mutation.statement}
        everywhere = not mutation.is_in_function or bool(lines & self.at_import)
        reaching = [
            test
            for test in sorted(self.seconds, key=self.seconds.__getitem__)
            if everywhere or lines & (self.of_test[test] | self.of_file[test.partition("::")[0]])
        ]
        chosen, total = [], 0.0
        for test in reaching:
            total += self.seconds[test]
            if chosen and total > seconds:
                break
            chosen.append(test)
        return chosen
