"""What is mutated, and the tests that have to notice: quick ones, which run the module in their own process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Group:
    """Modules that the same tests are about.

    Attributes:
        modules: Their paths.
        tests: Paths of test files.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]


def _below(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}.py" for name in names.split())


def _all_below(folder: str, pattern: str = "[!_]*.py") -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern)))


GROUPS: Sequence[Group] = (
    Group(_all_below("data/checks"), _all_below("tests/data/checks", "test_*.py")),
    Group(
        _below("data/columnar", "split_plan splitting"),
        _below("tests/data/columnar", "test_split_plan test_split_rule test_splitting test_stratifying test_times"),
    ),
    Group(
        (*_all_below("data/kinds"), *_below("data/inference", "dates numbers")),
        (*_all_below("tests/data/kinds", "test_*.py"), "tests/data/inference/test_dates.py"),
    ),
    Group(
        _below(
            "models/evaluation",
            "by_key comparison confidence estimates evaluation intervals metrics names predictions reliability",
        ),
        tuple(path for path in _all_below("tests/models/evaluation", "test_*.py") if "against_tfma" not in path),
    ),
    Group(
        _below("components", "baseline classical data_gate evaluator manifests model_gate publisher"),
        _below(
            "tests/components",
            "test_baseline test_classical test_classical_models test_data_gate test_evaluator test_manifests "
            "test_gate_sentences test_model_gate test_publisher test_publishing",
        ),
    ),
    Group(
        (*_below("components", "predictions serving_check"), *_all_below("components/live_model")),
        (
            *_below("tests/components", "test_answers test_predictions test_serving_check"),
            *_all_below("tests/components/live_model", "test_*.py"),
        ),
    ),
    Group(
        _below("models/serving/rollout", "inputs references rollouts versions"),
        (
            *_below(
                "tests/models/serving/rollout", "test_copies test_inputs test_references test_rollouts test_versions"
            ),
        ),
    ),
    Group(("models/training/warm_start.py",), _all_below("tests/models/training", "test_warm_start*.py")),
)
