"""The fuzzers' targets take what is valid, so that a finding is one."""

import contextlib
import importlib

import pytest

from benchmarks.fuzzing.campaign import TARGETS
from benchmarks.fuzzing.findings import Finding, Findings

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", TARGETS)
def test_valid_inputs_are_no_findings(name):
    module = importlib.import_module(f"benchmarks.fuzzing.{name}")

    with contextlib.closing(module.Target()) as target:
        for seed in module.seeds():
            target(seed)


def test_a_fault_is_kept_once_with_its_input(tmp_path, capsys):
    def target(content: bytes) -> None:
        if content == b"odd":
            raise Finding("an odd answer")
        if content:
            {}[content]

    findings = Findings(target, tmp_path)
    for content in (b"", b"a", b"b", b"odd"):
        findings(content)

    assert sorted(path.read_bytes() for path in tmp_path.glob("finding-*") if not path.suffix) == [b"a", b"odd"]
    assert "finding: KeyError at test_fuzzing.py:" in capsys.readouterr().err
