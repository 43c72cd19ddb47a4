"""Which version a request gets, without loading any."""

from dataclasses import dataclass

import pytest
from tensorflow_serving.apis import model_pb2

from models.serving.protocol.statuses import ServingStatus
from models.serving.server.live import LiveModel, LiveModels


@dataclass
class Servable:
    """What a look-up sees of a servable.

    Attributes:
        version: Its number.
        closing: Called by `acquire`, which then fails as for a version that is being unloaded.
    """

    version: int
    closing: object = None

    def acquire(self) -> bool:
        if self.closing:
            self.closing()
        return self.closing is None


def spec(name: str = "m", version: int | None = None, label: str = "") -> model_pb2.ModelSpec:
    message = model_pb2.ModelSpec(name=name)
    if version is not None:
        message.version.value = version
    elif label:
        message.version_label = label
    return message


@pytest.fixture
def live():
    """Model `m` with versions 1 and 2; label `stable` points to 1."""
    models = LiveModels()
    versions = {1: Servable(1), 2: Servable(2)}
    models.publish({"m": LiveModel(versions, {"stable": 1}, versions[2])})
    return models


@pytest.mark.parametrize(("model_spec", "version"), [(spec(), 2), (spec(version=1), 1), (spec(label="stable"), 1)])
def test_a_request_gets_the_latest_version_or_the_requested_one(live, model_spec, version):
    assert live.acquire(model_spec).version == version


@pytest.mark.parametrize(
    ("model_spec", "words"),
    [
        (spec(""), "ModelSpec has no name specified."),
        (spec("n"), "Servable not found for request: Latest(n)"),
        (spec(version=3), "Servable not found for request: Specific(m, 3)"),
        (spec(label="canary"), "Unrecognized servable version label: canary"),
        (spec("n", label="stable"), "Unrecognized servable version label: stable"),
    ],
)
def test_unknown_models_versions_and_labels_are_refused_with_tf_servings_message(live, model_spec, words):
    with pytest.raises(ServingStatus) as error:
        live.acquire(model_spec)

    assert error.value.message == words


def test_a_version_that_closes_during_the_lookup_is_looked_up_again():
    models, new = LiveModels(), Servable(2)
    old = Servable(1, lambda: models.publish({"m": LiveModel({2: new}, {}, new)}))
    models.publish({"m": LiveModel({1: old}, {}, old)})

    assert models.acquire(spec()) is new
