from click.testing import CliRunner

from pipeline.commands.cli import cli
from tests.pipeline import made_up


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
