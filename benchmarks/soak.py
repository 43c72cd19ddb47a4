"""A model server under steady load while its versions are swapped: no error, no wrong answer, no growth."""

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
KINDS = 16  # different models; a version is one of them, and its answers say which
MOST_GROWTH = 1.05  # of resident memory, last quarter to first, both after the first minute
LOCAL = [("grpc.use_local_subchannel_pool", 1)]
END = 50
LOADS = 200


class _Plus(tf.Module):
    """What comes, and a number."""

    def __init__(self, number: int):
        super().__init__(name="plus")
        self.number = tf.Variable(float(number))

    @tf.function(input_signature=[tf.TensorSpec((None, 8), tf.float32, name="x")])
    def predict(self, x):
        return {"y": x + self.number}


@dataclass
class Published:
    """Versions of one model: what may answer is from `oldest` to `newest`.

    Attributes:
        base: Folder of its versions.
        newest: The last that was published.
        oldest: The last that is known to be available: no request that begins later is answered by one before.
    """

    base: Path
    newest: int = 0
    oldest: int = 0

    def publish(self, models: Path) -> None:
        """Publishes the next version, one rename, and removes those that are two or more behind."""
        number = self.newest + 1
        shutil.copytree(models / str(number % KINDS), self.base / ".staging", copy_function=os.link)
        self.newest = number
        (self.base / ".staging").rename(self.base / str(number))
        shutil.rmtree(self.base / str(number - 2), ignore_errors=True)


@dataclass
class Soak:
    """Clients, swaps and samples of one server."""

    server: ServerProcess
    models: Path
    published: dict[str, Published]
    answered: Counter = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    swaps: int = 0
    samples: list[tuple[float, int, int]] = field(default_factory=list)  # MiB, threads, file descriptors
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float) -> None:
        """Runs for so many seconds, or until the first error."""
        threads = [
            threading.Thread(target=self._ask, args=(kind, client, name, rows))
            for kind, client in (("gRPC", self._grpc), ("REST", self._rest))
            for name in MODELS
            for rows in ROWS
        ]
        threads.append(threading.Thread(target=self._swap))
        for one in threads:
            one.start()
        process, end = psutil.Process(self.server.process.pid), time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.errors:
                self.over.wait(1)
                found = process.memory_info().rss / 2**20, process.num_threads(), process.num_fds()
                self.samples.append(found)
        finally:
            self.over.set()
            for one in threads:
                one.join()

    def _ask(self, kind: str, client: Callable, name: str, rows: int) -> None:
        """Asks again and again; the number that an answer has added says which version it is from."""
        published, x = self.published[name], np.zeros((rows, 8), np.float32)
        try:
            ask = client(name, x)
            while not self.over.wait(PAUSE_SECONDS):
                oldest = published.oldest
                answer = np.asarray(ask())
                numbers = {float(number % KINDS) for number in range(oldest, published.newest + 1)}
                if answer.shape != x.shape or len(np.unique(answer)) != 1 or answer.flat[0] not in numbers:
                    raise ValueError(f"{name}: {answer.ravel()[:4]} of {answer.shape}, expected one of {numbers}")
                self.answered[f"{kind}, {rows} rows"] += 1
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

        def ask() -> list:
            connection.request("POST", f"/v1/models/{name}:predict", body)
            reply = connection.getresponse()
            content = reply.read()
            if reply.status != 200:
                raise ValueError(f"{reply.status} {content[:200]!r}")
            return json.loads(content)["predictions"]

        return ask

    def _swap(self) -> None:
        """Publishes a version of the one model and the other in turn, and waits until it has replaced the last."""
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.server.port}", LOCAL) as channel:
                status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
                while not self.over.wait(SWAP_SECONDS):
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
        while not self.over.wait(0.05):
            found = {one.version: one.state for one in status().model_version_status}
            if found.get(published.newest) == 30:
                published.oldest = published.newest
                if all(state == END for number, state in found.items() if number != published.newest):
                    return


def report(minutes: float, batching: bool, say: Callable[[str], None]) -> tuple[str, list[str]]:
    """Returns the table in Markdown, and what is not as it must be."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(KINDS):
            model = _Plus(number)
            tf.saved_model.save(
                model, str(folder / "models" / str(number)), signatures={"serving_default": model.predict}
            )
        published = {name: Published(folder / name) for name in MODELS}
        for one in published.values():
            one.base.mkdir()
            one.publish(folder / "models")
            one.oldest = 1
        (folder / "config").write_text(config_list({name: Rollout() for name in MODELS}, folder))
        flags = [f"--model_config_file={folder / 'config'}", *(["--enable_batching"] if batching else [])]
        server = ServerProcess(flags, folder / "log")
        with running(server):
            soak = Soak(server, folder / "models", published)
            soak.run(minutes * 60)
        if soak.errors:
            say(f"the server's last words: {server.last_words()}")
    bare = json.loads(cost([sys.executable, "-m", "benchmarks.soak"]).out)
    return _judged(soak, minutes, bare)


def _judged(soak: Soak, minutes: float, bare: float) -> tuple[str, list[str]]:
    settled = soak.samples[int(WARM_SECONDS) :] if len(soak.samples) > 2 * WARM_SECONDS else soak.samples
    quarter = max(1, len(settled) // 4)
    first, last = settled[:quarter], settled[-quarter:]
    memory = [statistics.median(one[0] for one in part) for part in (first, last)]
    threads, files = ([max(one[index] for one in part) for part in (first, last)] for index in (1, 2))
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
        *(f"| requests by {kind} | {count:,} |" for kind, count in sorted(soak.answered.items())),
        f"| errors, and answers of a version that was not live | {len(soak.errors)} |",
        f"| resident MiB: first quarter after the first minute, last, ratio (at most {MOST_GROWTH}) | "
        f"{memory[0]:.0f}, {memory[1]:.0f}, {growth:.3f} |",
        f"| KiB a swap; KiB a load of TensorFlow's own `tf.saved_model.load` | {per_swap:.0f}; {bare:.0f} |",
        f"| most threads, first quarter and last | {threads[0]}, {threads[1]} |",
        f"| most file descriptors, first quarter and last | {files[0]}, {files[1]} |",
    ]  # fmt: skip
    return "\n".join(lines), faults


def _bare_loads() -> float:
    """Returns KiB that resident memory grows by for each load of a model by TensorFlow alone, from the 51st load on."""
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
    print(_bare_loads())
