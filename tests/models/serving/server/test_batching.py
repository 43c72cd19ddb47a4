import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from models.serving.protocol.config_files import BatchingParameters
from models.serving.protocol.statuses import Code, ServingStatus
from models.serving.protocol.tensors import strings
from models.serving.server.batching import Batcher, Parameters
from models.serving.server.servable import Servable
from tests.models.serving.models import example
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow


def parameters(text: str) -> Parameters:
    return Parameters.of(text_format.Parse(text, BatchingParameters()))


@pytest.fixture(scope="module")
def servable(tiny_model):
    return Servable("tiny", 1, Path(tiny_model))


@pytest.fixture
def batcher():
    """Returns a function that makes a batcher and the list of its batches' sizes; all are stopped at the end."""
    batchers = []

    def make(settings: Parameters):
        sizes: list[int] = []
        batchers.append(
            Batcher(lambda _: settings, settings.num_batch_threads, lambda pool, size, waited: sizes.append(size))
        )
        return batchers[-1], sizes

    yield make
    for one in batchers:
        one.stop()


def predict(batcher, servable, rows, timeout_ms=None, signature="serving_default", alias="x"):
    definition = servable.signatures[signature]
    return batcher.run(servable, {definition.inputs[alias]: rows}, list(definition.outputs.values()), timeout_ms)


WAITING = "max_batch_size { value: 8 } batch_timeout_micros { value: 200000 } num_batch_threads { value: 1 }"


def test_concurrent_requests_are_run_together_and_get_their_own_rows(servable, batcher):
    one, sizes = batcher(parameters(WAITING))
    rows = [np.full((2, 2), number, np.float32) for number in range(4)]

    with ThreadPoolExecutor(4) as threads:
        outputs = list(threads.map(lambda value: predict(one, servable, value)[0], rows))

    for value, output in zip(rows, outputs, strict=True):
        np.testing.assert_array_equal(output, value + np.float32(0.5))
    assert sizes == [8]


def test_batches_are_padded_to_the_next_allowed_size(servable, batcher):
    one, sizes = batcher(parameters(f"{WAITING} allowed_batch_sizes: 4 allowed_batch_sizes: 8"))

    (output,) = predict(one, servable, np.zeros((3, 2), np.float32))

    assert (len(output), sizes) == (3, [4])


def test_large_requests_are_split_if_allowed(servable, batcher):
    one, sizes = batcher(
        parameters(
            "max_batch_size { value: 100 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 4 } num_batch_threads { value: 1 }"
        )
    )
    rows = np.arange(20, dtype=np.float32).reshape(10, 2)

    (output,) = predict(one, servable, rows)

    np.testing.assert_array_equal(output, rows + np.float32(0.5))
    assert sizes == [4, 4, 2]


def test_requests_that_cannot_be_batched_are_refused_with_tf_servings_message(servable, batcher):
    one, _ = batcher(parameters(WAITING))

    with pytest.raises(ServingStatus, match="Task size 9 is larger than maximum input batch size 8"):
        predict(one, servable, np.zeros((9, 2), np.float32))
    with pytest.raises(ServingStatus, match=r"Batching Run\(\) input tensors must have at least one dimension"):
        predict(one, servable, np.float32(1))
    with pytest.raises(ServingStatus, match="Batched output tensor has 0 dimensions"):
        predict(one, servable, np.zeros(2, np.float32), signature="total")


def test_different_shapes_are_padded_only_if_allowed(servable, batcher):
    strict, _ = batcher(parameters(WAITING))
    padding, sizes = batcher(parameters(f"{WAITING} pad_variable_length_inputs: true"))

    def both(one):
        with ThreadPoolExecutor(2) as threads:
            shapes = [np.ones((1, 2), np.float32), np.ones((1, 4), np.float32)]
            return [threads.submit(predict, one, servable, value) for value in shapes]

    with pytest.raises(ServingStatus, match="padding is turned off"):
        [future.result() for future in both(strict)]
    assert [future.result()[0].shape for future in both(padding)] == [(1, 4), (1, 4)]
    assert sizes == [2]


def _together(batcher, servable, values, signature="serving_default", alias="x"):
    """Returns the outputs or the error of each of several concurrent requests, in order."""
    with ThreadPoolExecutor(len(values)) as threads:
        futures = [threads.submit(predict, batcher, servable, value, None, signature, alias) for value in values]
        return [future.exception() or future.result() for future in futures]


def test_padded_strings_keep_their_zero_bytes(servable, batcher):
    one, sizes = batcher(parameters(f"{WAITING} pad_variable_length_inputs: true"))
    short, long = strings([b"a\0"]).reshape(1, 1), strings([b"b", b"c", b"d\0"]).reshape(1, 3)

    results = _together(one, servable, [short, long], "strings", "text")

    assert sizes == [2]
    assert [output[0].tolist() for output in results] == [[[b"a\0"] * 3], [[b"b", b"c", b"d\0"]]]


def test_invalid_input_fails_its_own_request_only(servable, batcher):
    one, _ = batcher(parameters(WAITING))
    good = np.array([example(v=0.25).SerializeToString()], object)
    bad = np.array([b"no example"], object)

    results = _together(one, servable, [good, good, bad, good], "regress", "inputs")

    assert [getattr(output, "code", None) for output in results] == [None, None, Code.INVALID_ARGUMENT, None]
    assert [output[0].tolist() for output in results if isinstance(output, list)] == [[0.5]] * 3


def test_a_shape_that_the_signature_does_not_have_fails_its_own_request_only(servable, batcher):
    one, _ = batcher(parameters(WAITING))

    fitting, other = _together(one, servable, [np.ones((1, 2), np.float32), np.ones((1, 4), np.float32)])

    assert fitting[0].tolist() == [[1.5, 1.5]]
    assert "padding is turned off" in str(other)


def test_other_ranks_and_empty_rows_are_no_server_error(servable, batcher):
    one, _ = batcher(parameters(f"{WAITING} pad_variable_length_inputs: true"))
    shapes = [(1, 2), (1, 0), (1, 2, 2)]

    results = _together(one, servable, [np.ones(shape, np.float32) for shape in shapes])

    assert [output[0].shape for output in results] == [(1, 2), (1, 2), (1, 2, 2)]


def test_a_full_queue_refuses_and_a_deadline_ends_the_wait(servable, batcher):
    one, _ = batcher(
        parameters(
            "max_batch_size { value: 1 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 1 } "
            "num_batch_threads { value: 1 }"
        )
    )
    begun, go_on = threading.Event(), threading.Event()

    class Held:
        path = servable.path

        def run(self, feeds, fetches, timeout_ms):
            begun.set()
            assert go_on.wait(PATIENCE_S)
            return [np.zeros(1)]

    held = Held()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(one.run, held, {"x": np.zeros(1)}, ["y"], None)
        assert begun.wait(PATIENCE_S)
        waiting = threads.submit(one.run, held, {"x": np.zeros(1)}, ["y"], 1)
        until(lambda: one._queues)
        with pytest.raises(ServingStatus, match="queue to which this task was submitted is full; currently 1 batches"):
            one.run(held, {"x": np.zeros(1)}, ["y"], None)
        time.sleep(0.02)  # well beyond the millisecond that the waiting one has
        go_on.set()
        assert len(first.result()) == 1
        with pytest.raises(ServingStatus, match="timed out"):
            waiting.result()


def test_invalid_parameters_are_refused():
    with pytest.raises(ServingStatus, match="Last entry in allowed_batch_sizes must match max_batch_size; last entry "):
        parameters("max_batch_size { value: 8 } allowed_batch_sizes: 4")
    with pytest.raises(ServingStatus, match="max_batch_size must be positive; was 0"):
        parameters("max_batch_size { value: 0 }")
