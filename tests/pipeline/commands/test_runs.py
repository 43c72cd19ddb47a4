import shutil

from click.testing import CliRunner

from pipeline.commands.cli import cli
from pipeline.history import runs
from pipeline.reporting import page
from tests.pipeline import made_up
from tests.pipeline.reporting.conftest import make


def test_metrics_of_many_single_classes_are_counted_and_not_listed(tmp_path):
    few, many = made_up.spec_of(("good", "bad")), made_up.spec_of(tuple(f"sku{i}" for i in range(200)))
    for name, spec in (("few", few), ("many", many)):
        single = {f"recall@{one}": 0.5 for one in spec.features["label"].classes}
        made_up.write_record(tmp_path, made_up.record_of("1", spec, name, metrics={"accuracy": 0.75, **single}))

    shown = {name: CliRunner().invoke(cli, ["show", name, "--home", str(tmp_path)]).stdout for name in ("few", "many")}

    assert "  recall@bad                      0.5000\n" in shown["few"]
    assert "recall@" not in shown["many"]
    assert "  accuracy                        0.7500\n" in shown["many"]
    assert "  and 200 of single classes, in --json and on the page\n" in shown["many"]


def test_metrics_are_shown_alike_in_every_list(tmp_path):
    """The usual ones first, whatever their order in the record; the number of rows is no metric."""
    spec = made_up.spec_of(("no", "yes"))
    metrics = {"accuracy": 0.75, "example_count": 16.0, "loss": 0.5, "f1@yes": 0.7, "f1@no": 0.6, "auc": 0.9}
    record = made_up.record_of("1", spec, "few", metrics=metrics, compared=["auc", "accuracy", "f1@yes"])
    made_up.write_record(tmp_path, record)

    run, line = CliRunner().invoke(cli, ["show", "few", "--home", str(tmp_path)]).stdout, runs.line(record)

    assert line.endswith("  auc 0.9000, accuracy 0.7500, loss 0.5000")
    shown = [line.split()[0] for line in run.splitlines() if line.startswith("  ") and "went well" not in line]
    assert shown == ["auc", "accuracy", "f1@yes", "loss", "f1@no", "test"]
    assert "  test rows                       16\n" in run
    assert runs.line(made_up.record_of("1", spec, metrics={"example_count": 4.0, "mae": 2.0})).endswith("  mae 2.0000")


def test_an_end_of_line_in_a_class_does_not_break_the_table(tmp_path):
    spec = made_up.spec_of(("good", "ba\nd"))
    made_up.write_record(tmp_path, made_up.record_of("1", spec, "few", metrics={"accuracy": 0.75, "recall@ba\nd": 0.5}))

    shown = CliRunner().invoke(cli, ["show", "few", "--home", str(tmp_path)]).stdout

    assert "  recall@ba\\nd                    0.5000\n" in shown


def test_a_page_that_shows_what_was_collected_since_stays_until_it_is_forced(tmp_path):
    run = make(tmp_path, ("good", "bad"))
    written = page.write(run.paths, run.record, run.facts)
    before = written.read_text()
    shutil.rmtree(run.record.output("evaluate", "evaluation"))

    def report(*options: str):
        done = CliRunner().invoke(cli, ["report", run.record.run, "--home", str(tmp_path), *options])
        assert done.exit_code == 0, done.output
        return done

    kept = report()
    assert kept.stdout == f"{written}\n"
    assert "stays as it is, since it shows what is gone: the output evaluation of evaluate is not there" in kept.stderr
    assert written.read_text() == before
    report("--out", str(tmp_path / "other.html"))
    assert (tmp_path / "other.html").read_text() == before
    assert report("--force").stderr == ""
    assert "Not on this page: the output evaluation" in written.read_text()
    assert report().stderr == ""  # no more is missing than on the page
