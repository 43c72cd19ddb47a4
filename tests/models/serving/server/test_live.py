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
        closing: Called when it is asked for; a closing version is not to be had.
    """

    version: int
    closing: object = None

    def acquire(self) -> bool:
        if self.closing:
            self.closing()
        return self.closing is None


def spec(name: str = "m", version: int | None = None, label: str = "") -> model_pb2.ModelSpec:
    found = model_pb2.ModelSpec(name=name)
    if version is not None:
        found.version.value = version
    elif label:
        found.version_label = label
    return found


@pytest.fixture
def live():
    """Model `m` with versions 1 and 2; label `stable` points to 1."""
    found = LiveModels()
    versions = {1: Servable(1), 2: Servable(2)}
    found.publish({"m": LiveModel(versions, {"stable": 1}, versions[2])})
    return found


@pytest.mark.parametrize(("asked", "version"), [(spec(), 2), (spec(version=1), 1), (spec(label="stable"), 1)])
def test_a_request_gets_the_latest_version_or_the_one_it_names(live, asked, version):
    assert live.acquire(asked).version == version


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (spec(""), "ModelSpec has no name specified."),
        (spec("n"), "Servable not found for request: Latest(n)"),
        (spec(version=3), "Servable not found for request: Specific(m, 3)"),
        (spec(label="canary"), "Unrecognized servable version label: canary"),
        (spec("n", label="stable"), "Unrecognized servable version label: stable"),
    ],
)
def test_what_is_not_there_is_refused_in_tf_servings_words(live, asked, words):
    with pytest.raises(ServingStatus) as error:
        live.acquire(asked)

    assert error.value.message == words


def test_a_version_that_closes_meanwhile_is_looked_up_again():
    found, new = LiveModels(), Servable(2)
    old = Servable(1, lambda: found.publish({"m": LiveModel({2: new}, {}, new)}))
    found.publish({"m": LiveModel({1: old}, {}, old)})

    assert found.acquire(spec()) is new
