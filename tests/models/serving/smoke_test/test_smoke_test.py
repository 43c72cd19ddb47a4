import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from data.errors import ServingError
from models.serving.deployment.process import ServerProcess, running
from models.serving.protocol import warmup
from models.serving.smoke_test.candidate import Candidate, difference
from models.serving.smoke_test.measurement import Measurement, over_budget
from models.serving.smoke_test.smoke_test import run_smoke_test
from tests.models.serving.models import example, save
from tests.waiting import PATIENCE_S

INPUTS = {
    "serving_default": {"x": np.float32([[1, 2], [3, 4]])},
    "strings": {"text": np.array([b"a\xc3\xa9", b"b"], object)},
}
PREDICTIONS = {
    "serving_default": {"y": np.float32([[1.5, 2.5], [3.5, 4.5]])},
    "strings": {"upper": np.array([b"A\xc3\xa9", b"B"], object), "raw_bytes": np.array([b"a\xc3\xa9", b"b"], object)},
}
MEASURED = Measurement("embedded", 1, 1, 30.0, 40, 2, 50, 60, 900.0)
NONE = {"p95_ms": None, "max_mib": None, "max_slowdown": None}


def test_an_exceeded_budget_is_reported_with_its_setting():
    assert over_budget(MEASURED, NONE, {}) == []
    assert over_budget(MEASURED, {"p95_ms": 30, "max_mib": 900, "max_slowdown": 2}, {"p95_ms": 15.0}) == []
    assert over_budget(MEASURED, {**NONE, "max_slowdown": 2}, {"p95_ms": 10.0}) == [
        "p95 latency is 30.0 ms, the last version's was 10.0 ms, at most 2 times that (serving.max_slowdown)"
    ]
    assert over_budget(MEASURED, {**NONE, "p95_ms": 20, "max_mib": 800}, {}) == [
        "p95 latency is 30.0 ms, at most 20 ms (serving.p95_ms)",
        "the server takes 900 MiB, at most 800 MiB (serving.max_mib)",
    ]


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ([[1, 200.001]], None),  # within 1e-5 of 200
        ([[1, 200.1]], "answers y otherwise than the trained model, by 0.0005 (at most 1e-05)"),
        ([[1, np.nan]], "answers y that is not finite"),
        ([1, 200], "answers y of shape (2,), the trained model (1, 2)"),
    ],
)
def test_numbers_may_differ_a_little_relative_to_their_size(output, problem):
    assert difference({"y": np.array(output)}, {"y": np.array([[1, 200.0]])}, 1e-5) == problem


def test_text_must_be_the_same_and_outputs_must_have_their_names():
    expected = {"y": np.array([b"a"], object)}

    assert difference({"y": np.array(["a"], object)}, expected, 1e-5) is None
    assert difference({"y": np.array([b"b"], object)}, expected, 1e-5).startswith("answers y otherwise than")
    assert difference({"z": np.array([b"a"], object)}, expected, 1e-5) == "answers ['z'], expected ['y']"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A SavedModel with a warm-up request."""
    folder = save(tmp_path_factory.mktemp("candidate") / "model")
    warmup.write(folder, [("serving_default", INPUTS["serving_default"], PREDICTIONS["serving_default"])])
    return folder


@pytest.mark.slow
def test_a_model_with_the_expected_predictions_is_measured(model, tmp_path):
    begin = time.monotonic()
    measurement = run_smoke_test(
        model, "tiny", ask=lambda: (INPUTS, PREDICTIONS), folder=tmp_path / "candidate", engine="embedded"
    )

    assert 0 < measurement.start_s < time.monotonic() - begin  # to the first response
    assert 0 < measurement.p50_ms <= measurement.p95_ms <= measurement.p99_ms
    assert measurement.mib > 50
    assert not (tmp_path / "candidate").exists()
    assert measurement.facts()["engine"] == "embedded"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signature", "right", "api"),
    [
        (
            "classify",
            {"classes": np.array([[b"no", b"yes"]] * 2, object), "scores": np.float32([[0.75, 0.25], [0, 1]])},
            "Classify",
        ),
        ("regress", {"outputs": np.float32([0.5, 2.0])}, "Regress"),
    ],
)
def test_a_signature_of_examples_is_tested_by_classify_or_regress_too(model, tmp_path, signature, right, api):
    server = ServerProcess(["--model_name=tiny", f"--model_base_path={tmp_path / 'tiny'}"], tmp_path / "log")
    shutil.copytree(model, tmp_path / "tiny" / "1")
    examples = {"inputs": np.array([example(v=0.25).SerializeToString(), example(v=1.0).SerializeToString()], object)}
    wrong = {alias: value + 1 if value.dtype.kind == "f" else value for alias, value in right.items()}
    with running(server):
        candidate = Candidate(server, "tiny", tmp_path, 1e-5)
        candidate.compare_examples(signature, examples, right)
        with pytest.raises(
            ServingError, match=f"signature {signature} by {api}: answers .* otherwise than the trained"
        ):
            candidate.compare_examples(signature, examples, wrong)


@pytest.mark.slow
def test_a_different_prediction_is_reported_with_a_request_that_reproduces_it(model, tmp_path):
    wrong = {**PREDICTIONS, "serving_default": {"y": np.float32([[1.5, 2.5], [3.5, 4.6]])}}

    with pytest.raises(ServingError) as error:
        run_smoke_test(model, "tiny", ask=lambda: (INPUTS, wrong), folder=tmp_path / "candidate", engine="embedded")

    first, *rest = str(error.value).splitlines()
    assert first == (
        "Serving check: signature serving_default by gRPC: answers y otherwise than the trained model, by 0.022 "
        "(at most 1e-05); nothing was published."
    )
    (command, curl) = [line.strip() for line in rest if line.startswith("  ")]
    request = Path(curl.split("@")[1].split()[0])
    assert json.loads(request.read_text())["signature_name"] == "serving_default"
    # Both lines do what they say.
    server = ServerProcess(command.split()[4:], request.parent / "again")
    with running(server):
        typed = curl.replace(":8501/", f":{server.rest_port}/").split()
        done = subprocess.run(typed, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert json.loads(done.stdout)["outputs"] == [[1.5, 2.5], [3.5, 4.5]]


@pytest.mark.slow
def test_a_model_that_cannot_be_started_is_told_in_the_servers_words(tmp_path):
    (tmp_path / "model").mkdir()

    with pytest.raises(ServingError, match=r"ended before it answered: .*Could not find SavedModel .pb"):
        run_smoke_test(
            tmp_path / "model",
            "tiny",
            ask=lambda: (INPUTS, PREDICTIONS),
            folder=tmp_path / "candidate",
            engine="embedded",
        )


@pytest.mark.slow
def test_a_refused_request_is_reported_with_the_servers_message(model, tmp_path):
    inputs = {"serving_default": {"x": np.int32([[1, 2], [3, 4]])}}

    with pytest.raises(ServingError, match=r"INVALID_ARGUMENT: Expects arg\[0\] to be float but int32 is provided"):
        run_smoke_test(
            model, "tiny", ask=lambda: (inputs, PREDICTIONS), folder=tmp_path / "candidate", engine="embedded"
        )
