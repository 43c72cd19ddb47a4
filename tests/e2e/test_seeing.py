"""What the whole run of `digits` leaves to be looked at: its record, its page, and what TensorBoard serves."""

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from pipeline.history import runs
from pipeline.history.record import RunRecord
from tests.browser import chromium, watch
from tests.conftest import ROOT, Finished, headrace
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def first(digits_copy):
    """The record of the first run, which was published."""
    return runs.runs(digits_copy.home, "digits")[-1]


@pytest.fixture(scope="module")
def page(digits_copy, first) -> str:
    return (digits_copy.home / "runs" / "digits" / "reports" / f"{first.run}.html").read_text()


def test_the_record_tells_what_the_run_took_and_came_to(first, digits_copy):
    assert first.state == "published"
    assert first.version == digits_copy.version.name
    assert first.training == first.run
    assert first.cpu_seconds > 5
    assert first.peak_mib > 300
    assert first.disk_mib > 0.1
    low, high = first.intervals["accuracy"]
    assert low <= first.metrics["accuracy"] <= high
    assert first.verdicts[0]["metric"] == "accuracy"


def test_the_page_shows_the_run_and_goes_with_the_version(page, first, digits_copy):
    assert (digits_copy.version / "assets.extra" / "report.html").read_text() == page
    assert len(page) < 3 * 2**20
    assert f'data-metric="accuracy" data-value="{first.metrics["accuracy"]}"' in page
    assert page.count("<figure") >= 6
    assert page.count('src="data:image/png;base64,') >= 1  # digits that were mistaken
    assert "Not on this page" not in page
    assert "handwritten digits" in page
    assert "CC-BY-4.0" in page
    for stage in ("ingest", "train", "serving_check"):
        assert re.search(rf"<text[^>]*>{stage}</text>", page)  # the lineage


def test_a_version_with_its_report_is_the_same_model(digits_copy, digits_manifest):
    from models.serving.rollout.versions import model_digest

    assert model_digest(digits_copy.version) == digits_manifest["digest"]


def test_the_page_opens_in_a_browser_without_an_error_or_the_network(digits_copy, first):
    with chromium() as browser:
        shown = browser.new_page()
        watched = watch(shown)
        shown.goto((digits_copy.home / "runs" / "digits" / "reports" / f"{first.run}.html").as_uri())

        assert (watched.errors, watched.hosts) == ([], [])
        curve = shown.locator("#curve-val_loss path").bounding_box()
        assert curve["width"] > 50
        sizes = shown.evaluate("Array.from(document.images).map(image => image.naturalWidth)")
        assert set(sizes) == {8}


def test_report_writes_the_page_anew_and_a_copy(digits_copy, first, tmp_path):
    again = headrace("report", first.run, "--home", digits_copy.home)
    copied = headrace("report", first.run, "--home", digits_copy.home, "--out", tmp_path / "copy.html")

    written = Path(again.out.strip())
    assert written.name == f"{first.run}.html"
    assert copied.out.strip() == str(tmp_path / "copy.html")
    assert (tmp_path / "copy.html").read_text() == written.read_text()


@pytest.fixture(scope="module")
def refused(digits_copy) -> Finished:
    """A second run, which trains anew, with a profile, and does not meet its threshold."""
    settings = ("learning_rate=0.002", "epochs=1", "profile=true")
    options = [word for setting in settings for word in ("--set", f"train.{setting}")]
    options += ["--set", "evaluate.thresholds.accuracy.min=1.0"]
    return headrace("run", "digits", "--home", digits_copy.home, *options)


@pytest.fixture(scope="module")
def second(digits_copy, refused) -> RunRecord:
    """The record of the refused run."""
    return next(run for run in runs.runs(digits_copy.home, "digits") if run.settings["train"]["profile"])


def test_a_new_learning_rate_trains_again_and_does_nothing_before(refused):
    executed = {"start", "data_gate", "train", "evaluate", "model_gate", "report"}

    assert {name for name, detail in refused.stages().items() if detail != "cached"} == executed


def test_a_model_below_its_threshold_is_refused_with_the_numbers(digits_copy, refused):
    assert refused.code == 4
    assert "✗ model_gate" in refused.out
    assert "not good enough and was not published" in refused.out
    before, _, after = refused.out.partition("\nNext:\n")
    verdict, worst, last = before.splitlines()[-3:]
    assert f"headrace report digits --home {digits_copy.home} --open" in after
    assert verdict.strip().startswith("accuracy 0.")
    assert "expected >= 1" in verdict
    assert worst.strip().startswith("worst: label=")
    assert worst.count("label=") == 3
    assert "nothing was published" in last
    assert len(list(digits_copy.version.parent.glob("[0-9]*"))) == 1


def test_a_failed_run_has_a_page_that_says_why(digits_copy, second):
    newest = runs.find(digits_copy.home, second.run)
    text = (digits_copy.home / "runs" / "digits" / "reports" / f"{newest.run}.html").read_text()
    assert newest.state == "failed"
    assert "exit code 4" in text
    assert "The model is not good enough and was not published" in text
    assert "Not on this page" not in text
    assert newest.verdicts[0]["bound"] == 1.0  # what a gate wrote before it stopped the run
    assert 'aria-label="Thresholds"' in text


def test_runs_are_compared_on_the_same_rows(digits_copy, first):
    headrace("run", "digits", "--home", digits_copy.home, "--set", "evaluate.thresholds.accuracy.min=1.0")
    newest = runs.find(digits_copy.home, "digits")

    text = headrace("compare", first.run, newest.run, "--home", digits_copy.home).out
    comparison = json.loads(headrace("compare", first.run, newest.run, "--home", digits_copy.home, "--json").out)

    assert comparison["settings"] == {"evaluate.thresholds.accuracy.min": [0.98, 1.0]}
    assert comparison["metrics"]["accuracy"][1]["difference"] == 0.0
    assert comparison["metrics"]["accuracy"][1]["paired"]
    assert "data: the same" in text


# --- TensorBoard ------------------------------------------------------------------------------------------------------


class Board:
    """A running `headrace board`, asked through its HTTP API."""

    def __init__(self, home: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(Path(sys.executable).with_name("headrace")), "board", "--port", str(port), "--home", str(home)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        self._address = f"http://127.0.0.1:{port}/data"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_S)

    def ask(self, path: str, **query):
        url = f"{self._address}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            content = response.read()
        if content.startswith(b"\x1f\x8b"):  # the profile plugin's, asked for or not
            content = gzip.decompress(content)
        return json.loads(content) if response.headers.get_content_type() == "application/json" else content

    def wait_for(self, path: str, holds) -> dict:
        """Asks until the answer holds what it must; the board reads its files in the background."""
        responses: list[dict] = []

        def has_response() -> bool:
            with contextlib.suppress(OSError):
                responses.append(self.ask(path))
            return bool(responses) and holds(responses[-1])

        until(has_response, pause_s=0.25)
        return responses[-1]


@pytest.fixture(scope="module")
def board(digits_copy, first):
    running_board = Board(digits_copy.home)
    name = f"digits/{first.run}"
    # The last that is written.
    running_board.wait_for("plugin/text/tags", lambda tags: "test/mistakes" in tags.get(name, []))
    yield running_board
    running_board.stop()


def test_runs_are_named_by_pipeline_and_run(board, first):
    assert {f"digits/{first.run}", f"digits/{first.run}/train", f"digits/{first.run}/validation"} <= set(
        board.ask("runs")
    )


def test_stages_have_cards(board, first):
    name = f"digits/{first.run}"
    tags = board.ask("plugin/text/tags")[name]
    assert {"run", "data/anomalies", "test/slices", "test/mistakes"} <= set(tags)
    (train,) = [tag for tag in tags if tag.endswith(" train")]
    (card,) = board.ask("plugin/text/text", run=name, tag=train)
    assert "train.epochs" in card["text"]
    assert "<table>" in card["text"]  # its Markdown was understood


def test_curves_weights_gradients_and_statistics_are_there(board, first):
    name = f"digits/{first.run}"
    scalars = board.ask("plugin/scalars/tags")
    assert "epoch_loss" in scalars[f"{name}/train"]
    assert "epoch_loss" in scalars[f"{name}/validation"]
    assert "test/accuracy" in scalars[name]
    assert any(tag.startswith("slices_accuracy/label=") for tag in scalars[name])
    histograms = board.ask("plugin/histograms/tags")
    assert any(tag.endswith("kernel/histogram") for tag in histograms[f"{name}/train"])
    assert any(tag.endswith("kernel/gradient") for tag in histograms[f"{name}/pictures"])
    for split in ("train", "validation", "test"):
        assert {"data/label", "data/image.brightness"} <= set(histograms[f"{name}/{split}"])
    accuracy = board.ask("plugin/scalars/scalars", run=name, tag="test/accuracy")
    assert accuracy[0][2] == pytest.approx(first.metrics["accuracy"])


def test_pictures_are_served(board, first):
    name = f"digits/{first.run}"
    images = board.ask("plugin/images/tags")
    assert {"test/confusion_matrix", "test/calibration", "test/mistake_pictures"} <= set(images[name])
    assert {"samples", "confusion_matrix"} <= set(images[f"{name}/pictures"])
    for tag in images[name]:
        (image,) = board.ask("plugin/images/images", run=name, tag=tag, sample=0)
        png = board.ask("plugin/images/individualImage?" + image["query"])
        assert png.startswith(b"\x89PNG")


def test_precision_recall_curves_are_served(board, first):
    name = f"digits/{first.run}"
    tags = board.ask("plugin/pr_curves/tags")[name]
    assert len(tags) == 10
    curves = board.ask("plugin/pr_curves/pr_curves", run=name, tag=next(iter(tags)))
    assert len(curves[name][0]["precision"]) > 50


def test_the_projector_has_vectors_names_and_thumbnails(board, first):
    name = f"digits/{first.run}/validation"
    assert name in board.ask("plugin/projector/runs")
    info = board.ask("plugin/projector/info", run=name)
    (embedding,) = info["embeddings"]
    assert embedding["tensorShape"] in ([190, 64], None) or embedding["tensorName"] == "last_hidden_layer"
    metadata = board.ask("plugin/projector/metadata", run=name, name="last_hidden_layer").decode().splitlines()
    assert metadata[0] == "true\tpredicted"
    assert len(metadata) == 191
    tensors = board.ask("plugin/projector/tensor", run=name, name="last_hidden_layer")
    assert len(tensors) == 190 * 64 * 4  # float32
    assert board.ask("plugin/projector/sprite_image", run=name, name="last_hidden_layer").startswith(b"\x89PNG")


def test_runs_are_compared_in_the_hparams_tab(board, first):
    request = urllib.request.Request(
        f"{board._address}/plugin/hparams/experiment", b'{"experimentName": ""}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        experiment = json.loads(response.read())
    names = {info["name"] for info in experiment["hparamInfos"]}
    assert {"train.epochs", "train.learning_rate", "model.filters", "seed"} <= names
    metrics = {info["name"]["tag"] for info in experiment["metricInfos"]}
    assert "test/accuracy" in metrics


def test_a_profile_is_taken_on_request_and_served(board, second):
    name = f"digits/{second.run}/train/"
    profiled = board.wait_for("plugin/profile/runs", lambda runs: any(str(run).startswith(name) for run in runs))

    assert len([run for run in profiled if run.startswith(name)]) == 1
