"""What counts against a version, and what is the client's own fault."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from models.serving.protocol.statuses import Refusal, ServingStatus
from models.serving.server.inference import Engine
from models.serving.server.live import LiveModel, LiveModels
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable
from tests.models.serving.models import request

pytestmark = pytest.mark.slow

GOOD = {"x": np.float32([[1, 2]])}


@pytest.fixture(scope="module")
def versions(tiny_model, tmp_path_factory):
    """Version 1, and version 2, whose variables are missing: all its requests for `serving_default` fail."""
    broken = tmp_path_factory.mktemp("broken") / "model"
    shutil.copytree(tiny_model, broken)
    shutil.rmtree(broken / "variables")
    return {1: Servable("m", 1, tiny_model), 2: Servable("m", 2, broken), 3: Servable("m", 3, tiny_model)}


@pytest.fixture
def engine(versions):
    """Returns a function that makes an engine of some versions, with the newest as canary and nothing counted."""

    def make(*numbers, **options):
        live, some = LiveModels(), {number: versions[number] for number in numbers}
        for live_engine in some.values():
            live_engine.recent.clear()
        live.publish({"m": LiveModel(some, {"stable": numbers[0], "canary": numbers[-1]}, some[numbers[-1]])})
        return Engine(live, Metrics(), Servable.run, **options)

    return make


class Echo(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string, name="text")])
    def echo(self, text):
        return {"text": text}


def test_a_scalar_string_keeps_its_zero_bytes(tmp_path):
    model = Echo(name="echo")
    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": model.echo})
    version, live = Servable("m", 1, tmp_path), LiveModels()
    live.publish({"m": LiveModel({1: version}, {}, version)})
    message = request("m")
    message.inputs["text"].dtype = 7
    message.inputs["text"].string_val.append(b"a\0")

    response = Engine(live, Metrics(), Servable.run).predict(message)

    assert list(response.outputs["text"].string_val) == [b"a\0"]


def predict(engine, label, signature="", timeout_ms=None, **inputs):
    message = request("m", signature, **inputs)
    message.model_spec.version_label = label
    return engine.predict(message, timeout_ms)


def errors(engine):
    return {number: (figures.requests, figures.errors) for number, figures in engine.manager.figures()["m"].items()}


@pytest.mark.parametrize(
    "bad_request",
    [
        {"signature": "regress", "inputs": np.array([b"no example"], object)},
        {"signature": "nope", **GOOD},
        {"z": np.float32([1])},
        {"x": np.float32([[[1]]] * 3), "timeout_ms": 0},
    ],
)
def test_forty_bad_requests_of_a_client_do_not_count_against_a_canary(engine, bad_request):
    live_engine = engine(1, 3)

    for _ in range(40):
        with pytest.raises(ServingStatus):
            predict(live_engine, "canary", **bad_request)

    assert errors(live_engine) == {1: (0, 0), 3: (0, 0)}


def test_a_request_that_only_another_version_answers_counts_as_an_error(engine):
    live_engine = engine(1, 2)

    with pytest.raises(ServingStatus):
        predict(live_engine, "canary", **GOOD)
    predict(live_engine, "stable", **GOOD)

    assert errors(live_engine) == {1: (1, 0), 2: (1, 1)}


def test_the_request_to_the_other_version_is_not_counted_or_sampled(engine):
    sampled = []
    live_engine = engine(1, 2, sampler=lambda *arguments: sampled.append(arguments))

    with pytest.raises(ServingStatus):
        predict(live_engine, "canary", **GOOD)

    assert sampled == []
    assert live_engine.metrics.text() == "\n"


def test_a_request_refused_by_input_validation_counts_against_no_version(engine):
    def refuse(*_):
        raise Refusal("Input validation: row 0.")

    live_engine = engine(1, 3, validate=refuse)

    with pytest.raises(Refusal):
        predict(live_engine, "canary", **GOOD)

    assert errors(live_engine) == {1: (0, 0), 3: (0, 0)}
