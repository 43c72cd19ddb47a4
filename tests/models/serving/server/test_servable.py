"""The embedded server's way to load and run a SavedModel, beside TensorFlow's C++ loader, which is TF Serving's."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.serving.protocol.statuses import ServingStatus
from models.serving.server import servable as servable_module
from models.serving.server.servable import Servable
from tests.models.serving.cpp_loader import CppModel

pytestmark = pytest.mark.slow

CASES = [
    ("serving_default", {"x": np.float32([[1, 2], [3, 4]])}),
    ("serving_default", {"x": np.float32([7])}),  # neither checks shapes
    ("serving_default", {"x": np.zeros((1, 2, 2), np.float32)}),
    ("serving_default", {"x": np.int32([[1, 2]])}),
    ("two", {"a": np.float32([1, 2]), "b": np.int32([3, 4])}),
    ("two", {"a": np.float32([1, 2]), "b": np.int32([3, 4, 5])}),
    ("strings", {"text": np.array([b"abc", b"\x00\xff", b"x" * 100], object)}),
    ("judge", {"text": np.array([b"abc"], object)}),
    ("classify", {"inputs": np.array([b"no example"], object)}),
    ("classify", {"inputs": np.array([b"\xff\xfe no text"], object)}),  # an error that quotes what is no text
    ("total", {"x": np.zeros(0, np.float32)}),
]


def ours(servable, signature, inputs):
    """Returns the outputs by alias, or the error's text."""
    definition = servable.signatures[signature]
    try:
        values = servable.run(
            {definition.inputs[alias]: inputs[alias] for alias in inputs}, list(definition.outputs.values())
        )
    except ServingStatus as status:
        return status.message
    return {alias: np.asarray(value).tolist() for alias, value in zip(definition.outputs, values, strict=True)}


def theirs(model, signature, inputs):
    """Returns the same of the C++ loader."""
    try:
        return {alias: value.tolist() for alias, value in model.run(signature, inputs).items()}
    except RuntimeError as error:
        return str(error)


def first_line(result):
    return result.splitlines()[0] if isinstance(result, str) else result


@pytest.fixture(scope="module", params=["complete", "without variables"])
def both(request, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both") / "1"
    shutil.copytree(tiny_model, folder)
    if request.param == "without variables":
        shutil.rmtree(folder / "variables")
    return Servable("tiny", 1, folder), CppModel(folder)


@pytest.mark.parametrize(("signature", "inputs"), CASES)
def test_predictions_and_errors_are_those_of_the_cpp_loader(both, signature, inputs):
    servable, model = both

    assert first_line(ours(servable, signature, inputs)) == first_line(theirs(model, signature, inputs))


def test_a_server_that_may_not_read_a_version_says_so(tiny_model, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)

    with pytest.raises(
        ServingStatus, match=r"^PERMISSION_DENIED: .*saved_model.pb may not be read by user \d+, who runs"
    ):
        Servable("m", 1, tiny_model)


def test_one_call_that_the_machine_interrupts_makes_a_model_no_slower_and_five_in_a_row_do(tiny_model, monkeypatch):
    clock = iter(())
    monkeypatch.setattr(servable_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    one, inputs = Servable("tiny", 7, tiny_model), {"x": np.float32([[1, 2]])}
    quick = []

    for seconds in (5e-5, 5e-5, 0.05, 5e-5, *[0.05] * 5):
        clock = iter((0.0, seconds))
        ours(one, "serving_default", inputs)
        quick.append(one.quick)

    assert quick == [True, True, True, True, True, False, False, False, False]
