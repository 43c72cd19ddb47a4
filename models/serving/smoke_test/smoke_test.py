"""Runs the smoke test: serves the candidate, sends examples to every signature, measures latency and memory."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from data.errors import ServingError
from models.precision import TOLERANCES, precision_of
from models.serving.deployment.process import ServerProcess, choose, running
from models.serving.protocol import warmup
from models.serving.protocol.tensors import to_array
from models.serving.smoke_test.candidate import Arrays, Candidate
from models.serving.smoke_test.measurement import Measurement, measure

Ask = Callable[[], tuple[Mapping[str, Arrays], Mapping[str, Arrays]]]


def run_smoke_test(model: Path, name: str, *, ask: Ask, folder: Path, engine: str = "auto") -> Measurement:
    """Serves a SavedModel, compares its predictions, and returns the measured latency and memory.

    Args:
        model: Folder of the SavedModel.
        name: The model's name.
        ask: Returns inputs and the trained model's predictions, both signature -> arrays by alias, of the same
            examples, `(examples, ...)`; called while the server starts.
        folder: Scratch folder for the served copy and the log; emptied before, kept only after a failure.
        engine: `auto`, `embedded`, `binary` or `docker`.

    Raises:
        ServingError: The model does not load, or its predictions differ; with the server's last messages and the
            commands that reproduce it.
    """
    with _scratch(folder):
        base = folder / name
        _link(model, base / "1")
        flags = [f"--model_name={name}", f"--model_base_path={base}", "--max_num_load_retries=0"]
        server = ServerProcess(flags, folder / "server.log", choose(engine), folders=(base,))
        begin = time.perf_counter()
        with running(server, meanwhile=ask) as (inputs_by_signature, expected):
            candidate = Candidate(server, name, folder, TOLERANCES[precision_of(model)])
            candidate.check_status()
            _compare_warmup(candidate, model)
            start_s = time.perf_counter() - begin
            for signature, inputs in inputs_by_signature.items():
                candidate.compare_grpc(signature, inputs, expected[signature])
                candidate.compare_rest(signature, inputs, expected[signature])
                candidate.compare_examples(signature, inputs, expected[signature])
            return _measure(candidate, inputs_by_signature["serving_default"], start_s)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """Empties a folder before the block and removes it afterwards, unless the block raises ServingError."""
    shutil.rmtree(folder, ignore_errors=True)
    is_kept = False
    try:
        yield
    except ServingError:
        is_kept = True
        raise
    finally:
        if not is_kept:
            shutil.rmtree(folder, ignore_errors=True)


def _link(model: Path, target: Path) -> None:
    """Hard-links a SavedModel to `target`, or copies it if the file system cannot link."""

    def link(source: str, destination: str) -> None:
        try:
            os.link(source, destination)
        except OSError:
            shutil.copy2(source, destination)

    shutil.copytree(model, target, copy_function=link)


def _compare_warmup(candidate: Candidate, model: Path) -> None:
    """Sends the model's warm-up requests; raises ServingError if predictions differ from those stored with them."""
    for log in warmup.read(model):
        request, response = log.predict_log.request, log.predict_log.response
        inputs = {alias: to_array(request.inputs[alias]) for alias in request.inputs}
        outputs = {alias: to_array(response.outputs[alias]) for alias in response.outputs}
        candidate.compare_grpc(request.model_spec.signature_name, inputs, outputs)


def _measure(candidate: Candidate, inputs: Arrays, start_s: float) -> Measurement:
    try:
        return measure(candidate.server, candidate.name, inputs, start_s)
    except ServingError as error:
        first = {alias: value[:1] for alias, value in inputs.items()}
        raise candidate.failure("serving_default", "gRPC", first, str(error)) from None
