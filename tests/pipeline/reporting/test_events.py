import pytest

from pipeline.reporting import events
from tests.pipeline.reporting.conftest import make

pytestmark = pytest.mark.slow  # the HParams tab's own code imports TensorFlow


@pytest.fixture
def board(tmp_path):
    """Returns a function that writes a run's events and reads them back: run -> tag -> list of events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(run) -> dict[str, EventAccumulator]:
        events.write(tmp_path / "board", run.record, run.facts)
        found = {}
        for folder in (tmp_path / "board", *(tmp_path / "board").iterdir()):
            if folder.is_dir():
                found[folder.name] = EventAccumulator(str(folder)).Reload()
        return found

    return read


def _text(accumulator, tag: str) -> str:
    return accumulator.Tensors(tag)[0].tensor_proto.string_val[0].decode()


def test_every_stage_has_a_card_with_its_settings(run, board):
    found = board(run)["board"]

    card = _text(found, "stages/03 train")
    assert "**done** in 5.0 s" in card
    assert "train went well" in card
    assert "| train.epochs | 5 |" in card
    assert "train.epochs" not in _text(found, "stages/00 ingest")
    assert "accuracy 0.7500: expected" in _text(found, "stages/05 model_gate")


def test_data_is_told_by_histograms_a_split(run, board):
    from tensorboard.util import tensor_util

    found = board(run)["train"]

    histogram = tensor_util.make_ndarray(found.Tensors("data/size")[0].tensor_proto)
    assert histogram.shape == (10, 3)
    assert histogram[0, 0] == 0.0
    assert histogram[-1, 1] == 15.0
    assert histogram[:, 2].sum() == 16
    words = tensor_util.make_ndarray(found.Tensors("data/text")[0].tensor_proto)
    assert words[:, 2].tolist() == [3.0, 2.0]


def test_metrics_slices_and_curves_are_there(run, board):
    from tensorboard.util import tensor_util

    found = board(run)["board"]

    assert tensor_util.make_ndarray(found.Tensors("test/accuracy")[0].tensor_proto) == 0.75
    assert "slices_accuracy/label=good" in found.Tags()["tensors"]
    low, high = run.facts.intervals["label=good"]["accuracy"]
    accuracy = run.facts.slices["label=good"]["accuracy"]
    assert f"| label=good | {accuracy:.2f} ({low:.2f} to {high:.2f}) |" in _text(found, "test/slices")
    assert found.summary_metadata["test/accuracy"].summary_description.startswith("95 % interval 0.")
    curve = tensor_util.make_ndarray(found.Tensors("test/precision_recall/good/pr_curves")[0].tensor_proto)
    assert curve.shape == (6, events.NUM_THRESHOLDS)
    # At threshold 0.5: 16 rows, 6 of them good; of 12 right rows 4 are good, and of 4 wrong ones the last says good.
    answers = run.facts.answers
    said, good = answers.values[:, 0] >= 0.5, answers.targets == 0
    assert curve[0, 50] == (said & good).sum()
    assert curve[1, 50] == (said & ~good).sum()


def test_slices_have_the_metrics_that_any_of_them_has(tmp_path, board):
    """A slice of one class, which may be the first, has no area under the curve; the number of rows is no metric."""
    run = make(tmp_path, ("no", "yes"))
    run.record.compared = ["auc", "accuracy", "f1@yes"]
    slices = run.facts.evaluation["slices"]
    slices["place=north"] = {"auc": 0.875, "accuracy": 0.75, "f1@no": 0.5, "f1@yes": 0.625, "example_count": 8.0}
    slices["label=no"].pop("auc", None)

    found = board(run)["board"]

    tags = found.Tags()["tensors"]
    assert {"slices_auc/place=north", "slices_f1@yes/place=north", "test/f1@yes"} <= set(tags)
    assert not [tag for tag in tags if "example_count" in tag or "f1@no" in tag]
    table = _text(found, "test/slices").splitlines()
    assert table[0].endswith(r"| auc | accuracy | f1@yes | loss | expected&#95;calibration&#95;error | rows |")
    assert "| place=north | 0.8750 | 0.7500 | 0.6250 |  |  | 8 |" in table


def test_pictures_and_mistakes_have_tags_of_their_own(run, board):
    found = board(run)["board"]

    for tag in ("test/confusion_matrix", "test/calibration"):
        width, height, png = found.Tensors(tag)[0].tensor_proto.string_val
        assert png.startswith(b"\x89PNG")
        assert int(width) > 100
        assert int(height) > 100
    assert "the text of row 12" in _text(found, "test/mistakes")


def test_settings_and_result_are_for_the_hparams_tab(run, board):
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    found = board(run)["board"]

    start = metadata.parse_session_start_info_plugin_data(
        found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    end = metadata.parse_session_end_info_plugin_data(
        found.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    )
    assert start.hparams["train.epochs"].number_value == 5
    assert start.group_name == run.record.run
    assert isinstance(end, plugin_data_pb2.SessionEndInfo)
    assert end.status == 1  # success


def test_markup_in_data_stays_text(tmp_path, board):
    run = make(tmp_path, ("good", "bad"), feature="<img src=x onerror=alert(1)>")
    run.facts.mistakes[0]["features"] = {"a": "<script>alert(1)</script> | [x](javascript:alert(1)) `x` *y*"}
    run.record.stages[0].detail = "<b>bold</b>"

    found = board(run)["board"]

    assert "<" not in _text(found, "test/mistakes")
    assert "](" not in _text(found, "test/mistakes")
    assert "<b>" not in _text(found, "stages/00 ingest")


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

    found = board(run)["board"]

    assert "> The data was refused:" in _text(found, "stages/02 data_gate")
    assert "test/accuracy" not in found.Tags()["tensors"]
