"""A model server under steady load while its versions are swapped: no error, no wrong prediction, no growth."""

import gc
import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import psutil
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2

from benchmarks.measuring import cost
from models.serving.deployment.process import ServerProcess, running
from models.serving.protocol.tensors import fill, to_array
from models.serving.rollout.rollouts import Rollout, config_list

MODELS, ROWS = ("first", "second"), (1, 32)
SWAP_SECONDS, PAUSE_SECONDS, WARM_SECONDS = 5.0, 0.02, 60.0
KINDS = 16  # different models; a version is one of them, which its predictions identify
MOST_GROWTH = 1.05  # of resident memory, of the last quarter relative to the first, both after the first minute
LOCAL = [("grpc.use_local_subchannel_pool", 1)]
END = 50
LOADS = 200


class _Plus(tf.Module):
    """Returns its input plus a number."""

    def __init__(self, number: int):
        super().__init__(name="plus")
        self.number = tf.Variable(float(number))

    @tf.function(input_signature=[tf.TensorSpec((None, 8), tf.float32, name="x")])
    def predict(self, x):
        return {"y": x + self.number}


@dataclass
class Published:
    """Versions of one model: those from `oldest` to `newest` may serve a request.

    Attributes:
        base: Folder of its versions.
        newest: The last version published.
        oldest: The last version known to be available: no earlier one may serve a request that begins later.
    """

    base: Path
    newest: int = 0
    oldest: int = 0

    def publish(self, models: Path) -> None:
        """Publishes the next version by one rename, and removes the one two versions older."""
        number = self.newest + 1
        shutil.copytree(models / str(number % KINDS), self.base / ".staging", copy_function=os.link)
        self.newest = number
        (self.base / ".staging").rename(self.base / str(number))
        shutil.rmtree(self.base / str(number - 2), ignore_errors=True)


@dataclass
class Soak:
    """Load, swaps and samples of one server."""

    server: ServerProcess
    models: Path
    published: dict[str, Published]
    num_responses: Counter = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    swaps: int = 0
    samples: list[tuple[float, int, int]] = field(default_factory=list)  # MiB, threads, file descriptors
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float) -> None:
        """Runs for `seconds`, or until the first error."""
        threads = [
            threading.Thread(target=self._send_requests, args=(kind, client, name, rows))
            for kind, client in (("gRPC", self._grpc), ("REST", self._rest))
            for name in MODELS
            for rows in ROWS
        ]
        threads.append(threading.Thread(target=self._swap))
        for thread in threads:
            thread.start()
        process, end = psutil.Process(self.server.process.pid), time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.errors:
                self.is_over.wait(1)
                sample = process.memory_info().rss / 2**20, process.num_threads(), process.num_fds()
                self.samples.append(sample)
        finally:
            self.is_over.set()
            for thread in threads:
                thread.join()

    def _send_requests(self, kind: str, client: Callable, name: str, rows: int) -> None:
        """Sends requests until the end; the number added to the input shows which version responded."""
        published, x = self.published[name], np.zeros((rows, 8), np.float32)
        try:
            send = client(name, x)
            while not self.is_over.wait(PAUSE_SECONDS):
                oldest = published.oldest
                prediction = np.asarray(send())
                numbers = {float(number % KINDS) for number in range(oldest, published.newest + 1)}
                if prediction.shape != x.shape or len(np.unique(prediction)) != 1 or prediction.flat[0] not in numbers:
                    raise ValueError(
                        f"{name}: {prediction.ravel()[:4]} of {prediction.shape}, expected one of {numbers}"
                    )
                self.num_responses[f"{kind}, {rows} rows"] += 1
        except Exception as error:
            self.errors.append(f"{kind}, {rows} rows: {type(error).__name__}: {error}")

    def _grpc(self, name: str, x: np.ndarray) -> Callable[[], np.ndarray]:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        fill(request.inputs["x"], x)
        content = request.SerializeToString()
        call = grpc.insecure_channel(f"127.0.0.1:{self.server.port}", LOCAL).unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )
        return lambda: to_array(call(content, timeout=60).outputs["y"])

    def _rest(self, name: str, x: np.ndarray) -> Callable[[], list]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.rest_port, timeout=60)
        body = json.dumps({"instances": x.tolist()})

        def send() -> list:
            connection.request("POST", f"/v1/models/{name}:predict", body)
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                raise ValueError(f"{response.status} {content[:200]!r}")
            return json.loads(content)["predictions"]

        return send

    def _swap(self) -> None:
        """Publishes versions of both models in turn; waits until each has replaced the last."""
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.server.port}", LOCAL) as channel:
                status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
                while not self.is_over.wait(SWAP_SECONDS):
                    name = MODELS[self.swaps % len(MODELS)]
                    published = self.published[name]
                    published.publish(self.models)
                    request = get_model_status_pb2.GetModelStatusRequest()
                    request.model_spec.name = name
                    self._wait_until_replaced(partial(status, request, timeout=60), published)
                    self.swaps += 1
        except Exception as error:
            self.errors.append(f"swap: {type(error).__name__}: {error}")

    def _wait_until_replaced(self, status: Callable, published: Published) -> None:
        while not self.is_over.wait(0.05):
            states = {version.version: version.state for version in status().model_version_status}
            if states.get(published.newest) == 30:
                published.oldest = published.newest
                if all(state == END for number, state in states.items() if number != published.newest):
                    return


def report(minutes: float, batching: bool, say: Callable[[str], None]) -> tuple[str, list[str]]:
    """Returns the table in Markdown, and the faults."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(KINDS):
            model = _Plus(number)
            tf.saved_model.save(
                model, str(folder / "models" / str(number)), signatures={"serving_default": model.predict}
            )
        published = {name: Published(folder / name) for name in MODELS}
        for versions in published.values():
            versions.base.mkdir()
            versions.publish(folder / "models")
            versions.oldest = 1
        (folder / "config").write_text(config_list({name: Rollout() for name in MODELS}, folder))
        flags = [f"--model_config_file={folder / 'config'}", *(["--enable_batching"] if batching else [])]
        server = ServerProcess(flags, folder / "log")
        with running(server):
            soak = Soak(server, folder / "models", published)
            soak.run(minutes * 60)
        if soak.errors:
            say(f"the server's last words: {server.last_words()}")
    kib_per_load = json.loads(cost([sys.executable, "-m", "benchmarks.soak"]).out)
    return _table_and_faults(soak, minutes, kib_per_load)


def _table_and_faults(soak: Soak, minutes: float, kib_per_load: float) -> tuple[str, list[str]]:
    settled = soak.samples[int(WARM_SECONDS) :] if len(soak.samples) > 2 * WARM_SECONDS else soak.samples
    quarter = max(1, len(settled) // 4)
    first, last = settled[:quarter], settled[-quarter:]
    memory = [statistics.median(sample[0] for sample in part) for part in (first, last)]
    threads, files = ([max(sample[index] for sample in part) for part in (first, last)] for index in (1, 2))
    growth = memory[1] / memory[0]
    faults = list(soak.errors)
    if growth > MOST_GROWTH:
        faults.append(f"memory grows {growth:.3f} times, at most {MOST_GROWTH}")
    for name, (before, after) in (("threads", threads), ("file descriptors", files)):
        if after > before + 2:
            faults.append(f"{name} grow from {before} to {after}")
    per_swap = (memory[1] - memory[0]) * 1024 / max(1, soak.swaps * 3 / 4)
    lines = [
        "| | |", "| --- | --- |",
        f"| minutes, swaps | {minutes:g}, {soak.swaps} |",
        *(f"| requests by {kind} | {count:,} |" for kind, count in sorted(soak.num_responses.items())),
        f"| errors, and answers of a version that was not live | {len(soak.errors)} |",
        f"| resident MiB: first quarter after the first minute, last, ratio (at most {MOST_GROWTH}) | "
        f"{memory[0]:.0f}, {memory[1]:.0f}, {growth:.3f} |",
        f"| KiB a swap; KiB a load of TensorFlow's own `tf.saved_model.load` | {per_swap:.0f}; {kib_per_load:.0f} |",
        f"| most threads, first quarter and last | {threads[0]}, {threads[1]} |",
        f"| most file descriptors, first quarter and last | {files[0]}, {files[1]} |",
    ]  # fmt: skip
    return "\n".join(lines), faults


def _kib_per_load() -> float:
    """Returns the growth of resident memory for each load by TensorFlow alone, from the 51st load on, in KiB."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        model = _Plus(1)
        tf.saved_model.save(model, folder, signatures={"serving_default": model.predict})
        for number in range(LOADS):
            tf.saved_model.load(folder).signatures["serving_default"](x=tf.zeros((1, 8)))
            gc.collect()
            if number == LOADS // 4:
                before = process.memory_info().rss
    return (process.memory_info().rss - before) / 1024 / (LOADS - LOADS // 4)


if __name__ == "__main__":
    print(_kib_per_load())
