import json
import struct

import pytest

from data.errors import ConfigError
from pipeline.commands import compare_classical
from pipeline.core import config


def _result(rows: int, network: float, majority: float) -> dict:
    costs = {"train_seconds": 1.5, "microseconds_per_row": 20.0, "peak_mib": 3.0, "features": "none"}
    models = {
        "network": {"metrics": {"auc": network}, "rows": rows, **costs},
        "majority": {"metrics": {"auc": majority}, "rows": rows, **costs, "trivial": True},
    }
    return {"metric": "auc", "models": models}


def test_learning_curves_are_written_as_table_plot_and_json(tmp_path):
    named, runs = config.load("credit"), []

    def run(changed, home):
        runs.append((changed.config.data.train_share, home.name, changed.config.baseline.metric))
        return "too few rows" if len(runs) == 1 else _result(100 * len(runs), 0.5 + len(runs) / 10, 0.6)

    results = compare_classical.learning_curves(named, tmp_path, (0.01, 0.1, 1.0), run)

    assert [share for share, _, _ in runs] == [0.01, 0.1, 1.0]
    assert len({home for _, home, _ in runs}) == 3  # each in a home of its own
    folder = tmp_path / "runs" / "credit" / "compare-classical"
    assert json.loads((folder / "curves.json").read_text()) == results
    table = (folder / "table.md").read_text().splitlines()
    assert "| 10% (200) | 100% (300) |" in table[0]
    assert table[2].startswith("| network | 0.7000 | 0.8000 | 1.5 | 20 | 3 | none |")
    assert table[3].startswith("| majority (trivial) | 0.6000 | 0.6000 |")
    assert table[-1] == "1%: too few rows"
    header = (folder / "curves.png").read_bytes()[:24]
    assert struct.unpack(">II", header[16:]) == (840, 540)


def test_without_any_result_the_error_names_the_reason(tmp_path):
    with pytest.raises(ConfigError, match="No share of the data could be trained on: too few rows"):
        compare_classical.learning_curves(config.load("credit"), tmp_path, (0.5,), lambda changed, home: "too few rows")
