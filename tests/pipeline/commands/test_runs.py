import shutil

from click.testing import CliRunner

from pipeline.commands.cli import cli
from pipeline.history import runs
from pipeline.reporting import page
from tests.pipeline import made_up
from tests.pipeline.reporting.conftest import make


def test_metrics_of_many_classes_are_counted_and_not_listed(tmp_path):
    few, many = made_up.spec_of(("good", "bad")), made_up.spec_of(tuple(f"sku{i}" for i in range(200)))
    for name, spec in (("few", few), ("many", many)):
        class_metrics = {f"recall@{label}": 0.5 for label in spec.features["label"].classes}
        made_up.write_record(tmp_path, made_up.record_of("1", spec, name, metrics={"accuracy": 0.75, **class_metrics}))

    outputs = {
        name: CliRunner().invoke(cli, ["show", name, "--home", str(tmp_path)]).stdout for name in ("few", "many")
    }

    assert "  recall@bad                      0.5000\n" in outputs["few"]
    assert "recall@" not in outputs["many"]
    assert "  accuracy                        0.7500\n" in outputs["many"]
    assert "  and 200 of single classes, in --json and on the page\n" in outputs["many"]


def test_metrics_have_the_same_order_in_every_list(tmp_path):
    """The main metrics come first, whatever their order in the record; the number of rows is no metric."""
    spec = made_up.spec_of(("no", "yes"))
    metrics = {"accuracy": 0.75, "example_count": 16.0, "loss": 0.5, "f1@yes": 0.7, "f1@no": 0.6, "auc": 0.9}
    record = made_up.record_of("1", spec, "few", metrics=metrics, compared=["auc", "accuracy", "f1@yes"])
    made_up.write_record(tmp_path, record)

    output, line = CliRunner().invoke(cli, ["show", "few", "--home", str(tmp_path)]).stdout, runs.line(record)

    assert line.endswith("  auc 0.9000, accuracy 0.7500, loss 0.5000")
    shown = [line.split()[0] for line in output.splitlines() if line.startswith("  ") and "went well" not in line]
    assert shown == ["auc", "accuracy", "f1@yes", "loss", "f1@no", "test"]
    assert "  test rows                       16\n" in output
    assert runs.line(made_up.record_of("1", spec, metrics={"example_count": 4.0, "mae": 2.0})).endswith("  mae 2.0000")


def test_a_line_break_in_the_name_of_a_class_is_escaped(tmp_path):
    spec = made_up.spec_of(("good", "ba\nd"))
    made_up.write_record(tmp_path, made_up.record_of("1", spec, "few", metrics={"accuracy": 0.75, "recall@ba\nd": 0.5}))

    shown = CliRunner().invoke(cli, ["show", "few", "--home", str(tmp_path)]).stdout

    assert "  recall@ba\\nd                    0.5000\n" in shown


def test_a_page_that_shows_removed_outputs_is_replaced_only_with_force(tmp_path):
    run = make(tmp_path, ("good", "bad"))
    path = page.write(run.paths, run.record, run.facts)
    content = path.read_text()
    shutil.rmtree(run.record.output("evaluate", "evaluation"))

    def report(*options: str):
        result = CliRunner().invoke(cli, ["report", run.record.run, "--home", str(tmp_path), *options])
        assert result.exit_code == 0, result.output
        return result

    first = report()
    assert first.stdout == f"{path}\n"
    assert (
        "stays as it is, since it shows outputs that were removed: the output evaluation of evaluate is not there"
        in first.stderr
    )
    assert path.read_text() == content
    report("--out", str(tmp_path / "other.html"))
    assert (tmp_path / "other.html").read_text() == content
    assert report("--force").stderr == ""
    assert "Not on this page: the output evaluation" in path.read_text()
    assert report().stderr == ""  # no more is missing than on the page


def test_comparing_a_pipeline_that_has_run_once_says_so(tmp_path):
    made_up.write_record(tmp_path, made_up.record_of("1", made_up.spec_of(("no", "yes")), "few"))

    result = CliRunner().invoke(cli, ["compare", "few", "--home", str(tmp_path)], prog_name="headrace")

    assert result.exit_code == 2
    assert result.stderr == "headrace: few has one run; run it again, or name a run of another pipeline beside it.\n"
