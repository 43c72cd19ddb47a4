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
    """Version 1, and version 2, whose variables are missing: it answers no request for `serving_default`."""
    broken = tmp_path_factory.mktemp("broken") / "model"
    shutil.copytree(tiny_model, broken)
    shutil.rmtree(broken / "variables")
    return {1: Servable("m", 1, tiny_model), 2: Servable("m", 2, broken), 3: Servable("m", 3, tiny_model)}


@pytest.fixture
def engine(versions):
    """Returns a function that makes an engine of some versions, with the newest as canary and nothing counted."""

    def make(*numbers, **options):
        live, some = LiveModels(), {number: versions[number] for number in numbers}
        for one in some.values():
            one.recent.clear()
        live.publish({"m": LiveModel(some, {"stable": numbers[0], "canary": numbers[-1]}, some[numbers[-1]])})
        return Engine(live, Metrics(), Servable.run, **options)

    return make


class Echo(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string, name="text")])
    def echo(self, text):
        return {"text": text}


def test_a_string_of_no_dimensions_comes_back_zero_bytes_and_all(tmp_path):
    model = Echo(name="echo")
    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": model.echo})
    version, live = Servable("m", 1, tmp_path), LiveModels()
    live.publish({"m": LiveModel({1: version}, {}, version)})
    asked = request("m")
    asked.inputs["text"].dtype = 7
    asked.inputs["text"].string_val.append(b"a\0")

    found = Engine(live, Metrics(), Servable.run).predict(asked)

    assert list(found.outputs["text"].string_val) == [b"a\0"]


def asked(engine, label, signature="", timeout_ms=None, **inputs):
    message = request("m", signature, **inputs)
    message.model_spec.version_label = label
    return engine.predict(message, timeout_ms)


def errors(engine):
    return {number: (one.requests, one.errors) for number, one in engine.manager.figures()["m"].items()}


@pytest.mark.parametrize(
    "question",
    [
        {"signature": "regress", "inputs": np.array([b"no example"], object)},
        {"signature": "nope", **GOOD},
        {"z": np.float32([1])},
        {"x": np.float32([[[1]]] * 3), "timeout_ms": 0},
    ],
)
def test_forty_bad_requests_of_a_client_do_not_count_against_a_canary(engine, question):
    one = engine(1, 3)

    for _ in range(40):
        with pytest.raises(ServingStatus):
            asked(one, "canary", **question)

    assert errors(one) == {1: (0, 0), 3: (0, 0)}


def test_what_another_version_answers_counts_against_the_one_that_does_not(engine):
    one = engine(1, 2)

    with pytest.raises(ServingStatus):
        asked(one, "canary", **GOOD)
    asked(one, "stable", **GOOD)

    assert errors(one) == {1: (1, 0), 2: (1, 1)}


def test_nobody_hears_of_the_request_to_the_other_version(engine):
    sampled = []
    one = engine(1, 2, sampler=lambda *arguments: sampled.append(arguments))

    with pytest.raises(ServingStatus):
        asked(one, "canary", **GOOD)

    assert sampled == []
    assert one.metrics.text() == "\n"


def test_what_input_validation_refuses_is_the_clients_fault_were_another_version_to_answer(engine):
    def refuse(*_):
        raise Refusal("Input validation: row 0.")

    one = engine(1, 3, validate=refuse)

    with pytest.raises(Refusal):
        asked(one, "canary", **GOOD)

    assert errors(one) == {1: (0, 0), 3: (0, 0)}
