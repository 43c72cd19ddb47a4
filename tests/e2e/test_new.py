"""A stranger's table: `headrace new` writes a run file that runs, and the network is compared with reference models."""

import csv
import json
import re
from pathlib import Path

import pytest
from markupsafe import escape
from sklearn.datasets import load_breast_cancer

from tests.conftest import headrace

pytestmark = pytest.mark.e2e


# What a person may call columns and classes, and what something on the way takes for a name or sign of its own.
NAMES = (
    "inputs", "A", "a", "a/b", "a b", "a.b", "$x^2_{1}", "%s {} {0}", "<b>&\"'", "[red]", ":label:", "?*", "שלום", "🙂",
    "x" * 300, "None",
)  # fmt: skip
CLASSES = ("$bösartig^_{1", "gut/artig: [red] {} %s שלום 🙂 <b> " + "y" * 300)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where a table with unusual names of columns and classes lies, and a model learned from it is published."""
    folder, data = tmp_path_factory.mktemp("cancer"), load_breast_cancer()
    names = [*data.feature_names[: -len(NAMES)], *NAMES, "site", "Befund"]
    with (folder / "tumours.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(names)
        for index, (values, label) in enumerate(zip(data.data, data.target, strict=True)):
            cells = ["" if (index + place) % 40 == 0 else value for place, value in enumerate(values)]
            writer.writerow([*cells, ["links", "rechts", ""][index % 3], CLASSES[label]])
    new = headrace("new", "tumours", "--data", "tumours.csv", "--label", "Befund", cwd=folder)
    assert new.code == 0, new.err
    run = headrace("run", "./tumours.yaml", "--json", cwd=folder)
    assert run.code == 0, run.out + run.err
    (folder / "result.json").write_text(run.out)
    return folder


def test_the_model_is_good_and_says_how_good_beside_classical_ones(home):
    result = json.loads((home / "result.json").read_text())

    assert result["metrics"]["auc"] > 0.95
    comparison = result["baseline"]
    trivial = {name for name, model in comparison["models"].items() if model.get("trivial")}
    assert trivial == {"majority", "always_second_class"}
    assert set(comparison["models"]) - trivial == {"network", "logistic_regression", "hist_gradient_boosting"}
    assert comparison["metric"] == "auc"
    assert comparison["models"]["network"]["metrics"]["auc"] == pytest.approx(result["metrics"]["auc"], abs=0.02)
    assert comparison["models"]["majority"]["metrics"]["auc"] == 0.5
    # Logistic regression is at 0.99 on this table: there is nothing to win but against a constant answer.
    assert (comparison["trivial"]["best"], comparison["trivial"]["verdict"]) == ("majority", "beats")
    low, high = comparison["interval"]
    assert low <= comparison["difference"] <= high
    assert f"the network {comparison['verdict']} {comparison['best']}" in comparison["sentence"]


def test_all_names_are_shown_as_they_are_and_served(home):
    from models.serving.protocol import input_rules

    result = json.loads((home / "result.json").read_text())
    page = next((home / "runs" / "tumours" / "reports").glob("*.html")).read_text(encoding="utf-8")
    rules = json.loads((Path(result["published"]) / input_rules.FILE).read_text())

    for name in (*NAMES, *CLASSES):
        assert str(escape(name)) in page, name
    assert "<b>" not in re.sub(r"<b>[^<&]*</b>", "", page)
    assert set(NAMES) < set(rules["signatures"]["columns"].values())
    assert {f"f1@{name}" for name in CLASSES} <= set(result["metrics"])


def test_rows_of_a_table_are_predicted_without_their_label(home):
    lines = (home / "tumours.csv").read_text(encoding="utf-8").splitlines()
    (home / "asked.csv").write_text("\n".join(line.rsplit(";", 1)[0] for line in lines[:5]), encoding="utf-8")

    done = headrace("predict", "tumours.yaml", "asked.csv", "--json", cwd=home)

    assert done.code == 0, done.err
    predictions = json.loads(done.out)
    assert [prediction["row"] for prediction in predictions] == [1, 2, 3, 4]
    assert {top["class"] for top in predictions[0]["top"]} == set(CLASSES)
    assert sum(top["probability"] for top in predictions[0]["top"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.long
def test_a_network_that_did_not_learn_is_not_published(home):
    """As `headrace new` writes it: a network has to beat a constant answer, no classical model."""
    done = headrace("run", "./tumours.yaml", "--set", "train.learning_rate=1e-12", "--set", "train.epochs=1", cwd=home)

    assert done.code == 4, done.out
    sentence = r"The network does not earn its place \(baseline.require is beat_trivial\) and was not published; auc: "
    assert re.search(sentence + "the network (ties with|loses to) majority, ", done.out)
    (page,) = re.findall(r"✓ report .* (\S+\.html)$", done.out, re.MULTILINE)
    assert "No comparison" not in (home / page).read_text(encoding="utf-8")
    assert re.search(r"✓ classical +\d+\.\d s  cached", done.out)
    assert len(list((home / "serving" / "tumours").glob("[0-9]*"))) == 1


def test_a_column_that_is_left_out_later_is_still_given_to_the_live_version(home):
    file = home / "tumours.yaml"
    content = file.read_text(encoding="utf-8")
    kept = [line for line in content.splitlines() if '"mean area":' not in line]
    file.write_text("\n".join(kept).replace("  features:\n", "  ignore: [mean area]\n  features:\n"), encoding="utf-8")
    threshold = ("--set", "evaluate.thresholds.accuracy={min: 0.5, max_regression: 1.0}")
    allowed = (*threshold, "--set", "baseline.require=report")  # what two epochs come to is not the question
    again = ("--set", "train.epochs=2", "--set", "train.warm_start=auto", *allowed)

    done = headrace("run", "./tumours.yaml", *again, cwd=home)

    gate_line = re.search(
        r"model_gate .*?accuracy (0\.\d+) \(95 % .*?\): expected >= 0\.5, live (0\.\d+) \(at most", done.out, re.DOTALL
    )
    assert gate_line, done.out + done.err
    assert float(gate_line[2]) > 0.9  # asked through its own inputs, the column among them
    assert re.search(r"no warm start from version \d+: it takes other columns", done.out)
    assert "only reported" not in done.out
    assert re.search(r"version \d+; clients of version \d+ must change: mean area is gone", done.out)

    other = re.sub(r"classes: \[.*[^\\]\"\]", "classes: [benign, malign]", file.read_text(encoding="utf-8"))
    file.write_text(other, encoding="utf-8")
    refused = headrace("check", "./tumours.yaml", cwd=home)
    assert refused.code == 2
    assert "has none of the classes benign, malign; publish under another name, or go on without" in refused.err
    assert headrace("check", "./tumours.yaml", "--set", "evaluate.against_live=never", cwd=home).code == 0
