import pytest

from pipeline.reporting import events
from tests.pipeline.reporting.conftest import make

pytestmark = pytest.mark.slow  # the HParams tab's own code imports TensorFlow


@pytest.fixture
def board(tmp_path):
    """Returns a function that writes a run's events and returns folder name -> accumulator of the events in it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(run) -> dict[str, EventAccumulator]:
        events.write(tmp_path / "board", run.record, run.facts)
        accumulators = {}
        for folder in (tmp_path / "board", *(tmp_path / "board").iterdir()):
            if folder.is_dir():
                accumulators[folder.name] = EventAccumulator(str(folder)).Reload()
        return accumulators

    return read


def _text(accumulator, tag: str) -> str:
    return accumulator.Tensors(tag)[0].tensor_proto.string_val[0].decode()


def test_every_stage_has_a_card_with_its_settings(run, board):
    accumulator = board(run)["board"]

    card = _text(accumulator, "stages/03 train")
    assert "**done** in 5.0 s" in card
    assert "train went well" in card
    assert "| train.epochs | 5 |" in card
    assert "train.epochs" not in _text(accumulator, "stages/00 ingest")
    assert "accuracy 0.7500: expected" in _text(accumulator, "stages/05 model_gate")


def test_each_split_has_histograms_of_its_features(run, board):
    from tensorboard.util import tensor_util

    accumulator = board(run)["train"]

    histogram = tensor_util.make_ndarray(accumulator.Tensors("data/size")[0].tensor_proto)
    assert histogram.shape == (10, 3)
    assert histogram[0, 0] == 0.0
    assert histogram[-1, 1] == 15.0
    assert histogram[:, 2].sum() == 16
    ranks = tensor_util.make_ndarray(accumulator.Tensors("data/text")[0].tensor_proto)
    assert ranks[:, 2].tolist() == [3.0, 2.0]


def test_metrics_slices_and_curves_are_written(run, board):
    from tensorboard.util import tensor_util

    accumulator = board(run)["board"]

    assert tensor_util.make_ndarray(accumulator.Tensors("test/accuracy")[0].tensor_proto) == 0.75
    assert "slices_accuracy/label=good" in accumulator.Tags()["tensors"]
    low, high = run.facts.intervals["label=good"]["accuracy"]
    accuracy = run.facts.slices["label=good"]["accuracy"]
    assert f"| label=good | {accuracy:.2f} ({low:.2f} to {high:.2f}) |" in _text(accumulator, "test/slices")
    assert accumulator.summary_metadata["test/accuracy"].summary_description.startswith("95 % interval 0.")
    curve = tensor_util.make_ndarray(accumulator.Tensors("test/precision_recall/good/pr_curves")[0].tensor_proto)
    assert curve.shape == (6, events.NUM_THRESHOLDS)
    # The threshold of index 50 of 101 is 0.5.
    predictions = run.facts.predictions
    is_predicted, is_good = predictions.values[:, 0] >= 0.5, predictions.targets == 0
    assert curve[0, 50] == (is_predicted & is_good).sum()
    assert curve[1, 50] == (is_predicted & ~is_good).sum()


def test_slices_have_the_metrics_that_any_of_them_has(tmp_path, board):
    """A slice of one class, such as the first here, has no AUC; the number of rows is no metric."""
    run = make(tmp_path, ("no", "yes"))
    run.record.compared = ["auc", "accuracy", "f1@yes"]
    slices = run.facts.evaluation["slices"]
    slices["region=north"] = {"auc": 0.875, "accuracy": 0.75, "f1@no": 0.5, "f1@yes": 0.625, "example_count": 8.0}
    slices["label=no"].pop("auc", None)

    accumulator = board(run)["board"]

    tags = accumulator.Tags()["tensors"]
    assert {"slices_auc/region=north", "slices_f1@yes/region=north", "test/f1@yes"} <= set(tags)
    assert not [tag for tag in tags if "example_count" in tag or "f1@no" in tag]
    table = _text(accumulator, "test/slices").splitlines()
    assert table[0].endswith(r"| auc | accuracy | f1@yes | loss | expected&#95;calibration&#95;error | rows |")
    assert "| region=north | 0.8750 | 0.7500 | 0.6250 |  |  | 8 |" in table


def test_pictures_and_mistakes_have_tags_of_their_own(run, board):
    accumulator = board(run)["board"]

    for tag in ("test/confusion_matrix", "test/calibration"):
        width, height, png = accumulator.Tensors(tag)[0].tensor_proto.string_val
        assert png.startswith(b"\x89PNG")
        assert int(width) > 100
        assert int(height) > 100
    assert "the text of row 12" in _text(accumulator, "test/mistakes")


def test_the_hparams_tab_gets_settings_and_result(run, board):
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    accumulator = board(run)["board"]

    start = metadata.parse_session_start_info_plugin_data(
        accumulator.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    end = metadata.parse_session_end_info_plugin_data(
        accumulator.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    )
    assert start.hparams["train.epochs"].number_value == 5
    assert start.group_name == run.record.run
    assert isinstance(end, plugin_data_pb2.SessionEndInfo)
    assert end.status == 1  # success


def test_markup_in_data_is_escaped(tmp_path, board):
    run = make(tmp_path, ("good", "bad"), feature="<img src=x onerror=alert(1)>")
    run.facts.mistakes[0]["features"] = {"a": "<script>alert(1)</script> | [x](javascript:alert(1)) `x` *y*"}
    run.record.stages[0].detail = "<b>bold</b>"

    accumulator = board(run)["board"]

    assert "<" not in _text(accumulator, "test/mistakes")
    assert "](" not in _text(accumulator, "test/mistakes")
    assert "<b>" not in _text(accumulator, "stages/00 ingest")


def test_a_thousand_classes_are_not_drawn_one_by_one(tmp_path, board):
    run = make(tmp_path, tuple(f"class {index}" for index in range(1000)), rows=2000)

    tags = board(run)["board"].Tags()["tensors"]

    assert "test/confusion_matrix" not in tags
    assert len([tag for tag in tags if tag.startswith("test/precision_recall")]) == 50


def test_a_run_that_failed_early_has_its_cards(tmp_path, board):
    from pipeline.reporting.facts import Facts

    run = make(tmp_path, ("good", "bad"), state="failed", error="The data was refused:\n  row 3")
    run.record.stages = run.record.stages[:3]
    run.record.stages[-1].state = "failed"
    run.facts = Facts()

    accumulator = board(run)["board"]

    assert "> The data was refused:" in _text(accumulator, "stages/02 data_gate")
    assert "test/accuracy" not in accumulator.Tags()["tensors"]
