import json

import pytest

from pipeline.reporting import compare, compare_text
from tests.pipeline.reporting.conftest import edit_metrics


def test_the_text_has_a_column_for_each_run(two_runs):
    text = compare_text.lines(compare.compare(two_runs[0].home, [run.record for run in two_runs]))

    assert text[0].split() == ["20260528-1", "20260529-1"]
    (row,) = [line for line in text if line.startswith("  accuracy")]
    assert row.split()[1:3] == ["0.600", "0.900"]
    assert "(+0.300, +0." in row
    assert all(line == line.rstrip() for line in text)


def test_long_and_multiline_names_do_not_break_the_columns(two_runs):
    before, after = two_runs
    before.record.settings["classes"] = [f"class {index}" for index in range(1000)]
    after.record.settings["classes"] = [f"class {index}" for index in range(1001)]
    for run in two_runs:
        edit_metrics(run, lambda metrics: metrics["slices"].update({"a=b\nc": {"accuracy": 0.5}}))
        edit_metrics(run, lambda metrics: metrics["intervals"].update({"a=b\nc": {"accuracy": [0.4, 0.6]}}))
    edit_metrics(after, lambda metrics: metrics["slices"]["a=b\nc"].update(accuracy=1.0))
    edit_metrics(after, lambda metrics: metrics["intervals"]["a=b\nc"].update(accuracy=[0.9, 1.0]))

    text = compare_text.lines(compare.compare(before.home, [before.record, after.record]))

    assert max(map(len, text)) < 150
    assert next(line for line in text if "classes" in line).endswith("1,001: class 1000 added")
    assert any(line.startswith("  a=b\\nc ") for line in text)


def test_a_better_metric_is_green_and_a_worse_one_red(two_runs, monkeypatch):
    monkeypatch.setattr(compare_text, "colored", lambda text, color: f"<{color}>{text}</>" if color else text)
    before, after = (run.record for run in two_runs)
    comparisons = [compare.compare(two_runs[0].home, runs) for runs in ([before, after], [after, before])]

    better, worse = (
        next(line for line in compare_text.lines(comparison) if line.startswith("  accuracy"))
        for comparison in comparisons
    )

    assert "<green>0.900 (+0.300" in better
    assert "<red>0.600 (-0.300" in worse
    assert better.count("</>") == worse.count("</>") == 1


def test_the_json_holds_numbers(two_runs):
    values = json.loads(
        json.dumps(compare_text.as_json(compare.compare(two_runs[0].home, [run.record for run in two_runs])))
    )

    assert values["runs"] == ["20260528-1", "20260529-1"]
    assert values["metrics"]["accuracy"][1]["difference"] == pytest.approx(0.3)
