"""Tiny published models predict, in this process and by a server: an error of a row concerns only that row."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from data.spec import DatasetSpec, LabelFeature, NumberFeature, TargetFeature
from models.serving.deployment.process import ServerProcess, running
from models.serving.protocol import input_rules
from models.serving.rollout.rollouts import Rollout, config_list
from models.serving.rollout.versions import publish
from pipeline.commands.cli import cli
from pipeline.live import predicting
from tests.conftest import headrace

pytestmark = pytest.mark.slow

LABEL = {"v": NumberFeature(), "label": LabelFeature(classes=("no", "yes"))}
# `shares` predicts `yes` with probability v; `prices` predicts 2 * v; `texts` predicts `good` with 0.75.
PIPELINES = {
    "prices": (
        "regress",
        "inputs",
        "table",
        DatasetSpec(name="b", title="b", licence="", features={"v": NumberFeature(), "price": TargetFeature()}),
    ),
    "texts": ("judge", "text", "text", None),
    "shares": ("classify", "inputs", "table", DatasetSpec(name="a", title="a", licence="", features=LABEL)),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    from tests.models.serving.models import save

    home = tmp_path_factory.mktemp("home")
    model = save(home / "model")
    for name, (signature, input_key, kind, spec) in PIPELINES.items():
        if name == "shares":
            # The server validates inputs against the rules; this process does not.
            limited = spec.model_copy(update={"features": {**LABEL, "v": NumberFeature(max=1)}})
            input_rules.write(model, limited, {signature: {input_key: input_rules.EXAMPLES}})
        query = {"signature": signature, "input_key": input_key, "kind": kind, "top_k": 2}
        facts = {"spec": spec.model_dump(mode="json")} if spec else {}
        publish(model, home / "serving" / name, {"file_query": query, "data": {"delimiter": ";"}, **facts})
    return home


@pytest.fixture(scope="module")
def server(home):
    """URL of the REST API of a server of all models."""
    folder = home / "serving"
    (folder / "all.config").write_text(config_list(dict.fromkeys(PIPELINES, Rollout()), folder))
    process = ServerProcess([f"--model_config_file={folder / 'all.config'}"], home / "log")
    with running(process):
        yield f"http://127.0.0.1:{process.rest_port}"


def predictions(home, name, *files, **options):
    """Returns the predictions as JSON values, without their version."""
    batches = predicting.predict(name, files, home, **options)
    values = [prediction.as_json(batches.top_k) for batch in batches for prediction in batch]
    (version,) = (int(path.name) for path in (home / "serving" / name).glob("[0-9]*"))
    assert all("error" in value or value.pop("version") == version for value in values)
    return values


def top(**shares):
    return [{"class": name, "probability": share} for name, share in shares.items()]


@pytest.mark.parametrize("served", [False, True])
def test_only_a_bad_row_has_an_error(home, tmp_path, request, served):
    url = request.getfixturevalue("server") if served else None
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("note;v\nx;0.25\nx;much\nx;1\nx\n")
    other.write_text("w\n1\n")

    first, second, third, fourth, last = predictions(home, "shares", path, other, server=url)

    assert first == {"file": str(path), "row": 1, "top": top(no=0.75, yes=0.25)}
    assert second == {
        "file": str(path),
        "row": 2,
        "error": f"{path} row 2 (line 3), v: expected a number, found 'much'",
    }
    assert third == {"file": str(path), "row": 3, "top": top(yes=1.0, no=0.0)}
    assert fourth == {"file": str(path), "row": 4, "error": f"{path} row 4 (line 5): expected 2 cells, found 1"}
    assert last == {"file": str(other), "error": f"{other}: column v is missing; add it"}


def test_only_a_row_that_the_server_refuses_has_an_error(home, server, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting.ServedModel, "batch_rows", 8)
    path = tmp_path / "a.csv"
    path.write_text("v\n" + "".join(f"{0.5 if row not in (3, 11, 12) else 7}\n" for row in range(1, 21)))

    values = predictions(home, "shares", path, server=server)

    assert [value["row"] for value in values] == list(range(1, 21))
    refused = {value["row"]: value["error"] for value in values if "error" in value}
    assert refused.keys() == {3, 11, 12}
    assert refused[3] == f"{path} row 3: the model refuses it: Input validation: v: expected at most 1, found 7"


@pytest.mark.parametrize("name", ["shares", "prices"])
def test_a_server_and_this_process_give_the_same_table(home, server, tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_text("v\n" + "".join("x\n" if row % 7 == 0 else f"{row / 3000}\n" for row in range(1, 3001)))

    tables = []
    for url in (None, server):
        batches = predicting.predict(name, [path], home, server=url)
        tables.append(pa.Table.from_batches([batches.columns().batch(batch) for batch in batches]).combine_chunks())

    assert tables[0].equals(tables[1])
    assert tables[0].column("row").to_pylist() == list(range(1, 3001))
    assert tables[0].column("error").null_count == 3000 - 3000 // 7


def test_names_that_differ_by_row_stay_as_they_are():
    import tensorflow as tf

    for names in ([[b"a", b"b"], [b"a", b"b"]], [[b"a", b"b"], [b"b", b"a"]], [[b"a", b"b"]]):
        assert predicting._array(tf.constant(names)).tolist() == names
    assert predicting._array(tf.constant([1.5, 2.5])).tolist() == [1.5, 2.5]


def test_only_a_row_that_the_model_refuses_has_an_error(home):
    from tests.models.serving.models import example

    (folder,) = (home / "serving" / "shares").glob("[0-9]*")
    good = example(v=0.25).SerializeToString()

    results = predicting._predict_or_split(
        predicting.LoadedModel(folder, "classify", "inputs"), [good, b"no example", good]
    )

    assert [result.error[:40] for result in results] == ["", "the model refuses it: Could not parse ex", ""]
    assert results[2].outputs["scores"].tolist() == [[0.75, 0.25]]


def test_the_version_is_looked_up_again_when_the_server_has_replaced_it(home, server):
    model = predicting.ServedModel(server, "prices", "regress", "inputs")
    version, outputs = model._version_and_outputs
    model.__dict__["_version_and_outputs"] = (version - 1, outputs)
    from tests.models.serving.models import example

    assert model.predict([example(v=2.0).SerializeToString()]) == ({"outputs": np.float32([4.0])}, version)
    assert model.outputs == {"outputs": "float32"}


def test_predictions_are_written_to_a_table(home, tmp_path):
    (tmp_path / "a.csv").write_text("v\n1.5\nx\n")

    done = headrace("predict", "prices", "a.csv", "--out", "answers.csv", "--home", home, cwd=tmp_path)

    assert done.code == 3, done.err
    assert done.out.startswith("answers.csv: 2 rows, 1 of them errors, version ")
    (version,) = (path.name for path in (home / "serving" / "prices").glob("[0-9]*"))
    assert done.err == (
        f"loading version {version} ...\n"
        "headrace: 1 of 2 rows or files cannot be used and have no answer:\n"
        "  a.csv row 2 (line 3), v: expected a number, found 'x'\n"
    )
    with (tmp_path / "answers.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {"file": "a.csv", "row": "1", "version": version, "value": "3", "error": ""}
    assert second["error"] == "a.csv row 2 (line 3), v: expected a number, found 'x'"


def run_predict(*arguments):
    """Runs `headrace predict` in this process."""
    return CliRunner().invoke(cli, ["predict", *map(str, arguments)])


def test_json_is_a_list_with_errors_in_order(home, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n{"text": null}\n')

    done = run_predict("texts", path, "--text", "é", "--json", "--home", home)

    assert done.exit_code == 3
    given, first, second = json.loads(done.stdout)
    assert given["text"] == "é"
    assert first["top"] == top(good=0.75, bad=0.25)
    assert second == {"file": str(path), "row": 2, "error": f"{path} row 2, text: expected text, found nothing"}
    assert done.stderr.splitlines()[0] == f"loading version {given['version']} ..."
    assert done.stderr.count("\n") == 3


def test_ten_of_many_errors_are_shown_and_the_rest_counted(home, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("v\n" + "x\n" * 1500)

    done = run_predict("prices", path, "--home", home)

    assert (done.exit_code, done.stdout) == (3, "")
    loading, *lines = done.stderr.splitlines()
    assert loading.startswith("loading version ")
    assert lines[0] == "headrace: 1,500 of 1,500 rows or files cannot be used and have no answer:"
    assert lines[10] == f"  {path} row 10 (line 11), v: expected a number, found 'x'"
    assert lines[11:] == ["  and 1,490 more; --json and --out FILE tell all of them"]


def test_a_table_that_cannot_be_written_is_an_error_before_the_first_prediction(home, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("v\n1\n")

    done = run_predict("prices", path, "--out", "answers.xlsx", "--server", "127.0.0.1:1", "--home", home)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "headrace: --out answers.xlsx: expected a name that ends with .csv, .jsonl, .parquet.\n"


def test_a_server_that_does_not_answer_gives_exit_code_5_and_valid_json(home, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting.ServedModel, "batch_rows", 1)
    path = tmp_path / "a.csv"
    path.write_text("v\nx\n0.5\n")

    done = run_predict("prices", path, "--server", "127.0.0.1:1", "--json", "--home", home)

    assert done.exit_code == 5
    first, last = json.loads(done.stdout)
    assert (first["row"], last["exit_code"]) == (1, 5)
    assert done.stderr.startswith("headrace: No model server answers at http://127.0.0.1:1/")
