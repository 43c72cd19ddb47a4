"""Costs of the embedded server: requests a second, CPU a request, large requests, time to its first response."""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import psutil
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks.measuring import HEADRACE, cost
from models.serving.deployment.process import ServerProcess, running
from models.serving.protocol.tensors import fill

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CLIENTS, SECONDS, WARM = 8, 5.0, 200
ROWS = 1000
LOCAL = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


class _Mlp(tf.Module):
    """A network of 8 inputs, 32 hidden units and 3 outputs."""

    def __init__(self):
        super().__init__(name="mlp")
        generator = np.random.default_rng(0)
        self.hidden = tf.Variable(generator.normal(size=(8, 32)).astype(np.float32))
        self.last = tf.Variable(generator.normal(size=(32, 3)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 8), tf.float32, name="x")])
    def predict(self, x):
        return {"scores": tf.nn.softmax(tf.nn.relu(x @ self.hidden) @ self.last)}


@dataclass(frozen=True)
class Load:
    """Result of a load test: requests a second, latency in ms, and the server's CPU in microseconds a request."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.2f} ms, p99 {self.p99_ms:.2f} ms, {self.cpu_us:.0f} us of the server's CPU"


@dataclass(frozen=True)
class Row:
    """A row of the table: what is measured, our figure, the required one, and the figures it is computed from."""

    what: str
    ours: float
    must: float
    at_least: bool = False
    digits: int = 1
    detail: str = ""

    def line(self) -> str:
        """Returns the row in Markdown."""
        is_reached = self.ours >= self.must if self.at_least else self.ours <= self.must
        ours = f"{self.ours:,.{self.digits}f}"
        bound = f"{'>=' if self.at_least else '<='} {self.must:,g}"
        return f"| {self.what} | {ours} | {bound} | {'yes' if is_reached else '**short**'} | {self.detail} |"


def table(say: Callable[[str], None]) -> str:
    """Measures and returns the table in Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        module = _Mlp()
        tf.saved_model.save(module, str(folder / "mlp" / "1"), signatures={"serving_default": module.predict})
        session = json.loads(cost([sys.executable, "-m", "benchmarks.serving", folder / "mlp" / "1"]).out)
        flags = ["--model_name=mlp", f"--model_base_path={folder / 'mlp'}"]
        server = ServerProcess(flags, folder / "log")
        with running(server):
            process = psutil.Process(server.process.pid)
            by_grpc = _load(process, lambda: _grpc_client(server.port))
            say(f"gRPC {by_grpc}")
            by_rest = _load(process, lambda: _rest_client(server.rest_port))
            say(f"REST {by_rest}")
        home = folder / "home"
        cost([*HEADRACE, "run", "fashion_mnist", "--home", home, "--set", "train.epochs=1",
              "--set", "evaluate.thresholds={}"])  # fmt: skip
        start, large, in_process = _fashion(home / "serving" / "fashion_mnist", folder)
    ratio = by_grpc.cpu_us / session["default"]
    rows = [
        Row("requests/s, tiny MLP, batch 1, 8 gRPC clients", by_grpc.rate, 1500, at_least=True, digits=0,
            detail=f"{by_grpc}; the clients, in Python, run on the same two cores"),
        Row("CPU of a gRPC request / of TensorFlow's session call", ratio, 12,
            detail=f"{by_grpc.cpu_us:.0f} and {session['default']:.0f} us; {session['in_place']:.0f} us as the server "
            "calls it"),
        Row("requests/s, the same by REST", by_rest.rate, 700, at_least=True, digits=0, detail=str(by_rest)),
        Row(f"{ROWS:,} rows of Fashion-MNIST by gRPC / session call in process", large / in_process, 1.3,
            detail=f"{large * 1000:.0f} and {in_process * 1000:.0f} ms"),
        Row("seconds from the start to the first answer, Fashion-MNIST", start, 8),
    ]  # fmt: skip
    head = ["| | ours | must | reached | figures |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *(row.line() for row in rows)])


def _grpc_client(port: int) -> Callable[[], None]:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "mlp"
    fill(request.inputs["x"], np.full((1, 8), 0.1, np.float32))
    content = request.SerializeToString()
    call = grpc.insecure_channel(f"127.0.0.1:{port}", LOCAL).unary_unary(PREDICT)
    return lambda: call(content)


def _rest_client(port: int) -> Callable[[], None]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"instances": [[0.1] * 8]})

    def send() -> None:
        connection.request("POST", "/v1/models/mlp:predict", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(response.read())
        response.read()

    return send


def _load(process: psutil.Process, client: Callable[[], Callable[[], None]]) -> Load:
    """Returns the load of 8 clients that send requests as fast as they can."""
    seconds: list[float] = []
    barrier = threading.Barrier(CLIENTS + 1)

    def run() -> None:
        send = client()
        for _ in range(WARM):
            send()
        barrier.wait()
        end = time.perf_counter() + SECONDS
        while (begin := time.perf_counter()) < end:
            send()
            seconds.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    before = process.cpu_times()
    for thread in threads:
        thread.join()
    after = process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    p50, p99 = np.percentile(seconds, (50, 99)) * 1000
    return Load(len(seconds) / SECONDS, float(p50), float(p99), cpu / len(seconds) * 1e6)


def _fashion(versions: Path, folder: Path) -> tuple[float, float, float]:
    """Returns the seconds to the first response, of 1,000 rows by gRPC, and of these rows in process; medians."""
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array
    from models.serving.server.servable import Servable

    model = next(path for path in versions.iterdir() if path.name.isdigit())
    log = next(log for log in warmup.read(model) if "inputs" in log.predict_log.request.inputs)
    warmup_rows = to_array(log.predict_log.request.inputs["inputs"])
    rows = np.resize(warmup_rows, ROWS)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "fashion_mnist"
    fill(request.inputs["inputs"], rows)
    content = request.SerializeToString()
    log.predict_log.request.model_spec.name = "fashion_mnist"
    first = log.predict_log.request.SerializeToString()
    starts, seconds_of_requests = [], []
    for index in range(3):
        begin = time.perf_counter()
        server = ServerProcess(["--model_name=fashion_mnist", f"--model_base_path={versions}"], folder / "log")
        with running(server), grpc.insecure_channel(f"127.0.0.1:{server.port}", LOCAL) as channel:
            call = channel.unary_unary(PREDICT)
            call(first)
            starts.append(time.perf_counter() - begin)
            if index == 0:
                call(content)
                for _ in range(9):
                    begin = time.perf_counter()
                    call(content)
                    seconds_of_requests.append(time.perf_counter() - begin)
    servable = Servable("fashion_mnist", 1, model)
    signature = servable.signatures["serving_default"]
    feeds, fetches = {signature.inputs["inputs"]: rows}, list(signature.outputs.values())
    servable.run(feeds, fetches)
    seconds_in_process = []
    for _ in range(9):
        begin = time.perf_counter()
        servable.run(feeds, fetches)
        seconds_in_process.append(time.perf_counter() - begin)
    return statistics.median(starts), statistics.median(seconds_of_requests), statistics.median(seconds_in_process)


def _session_cpu(model: Path) -> dict[str, float]:
    """Returns the microseconds of CPU of a session call: on TensorFlow's threads, and on the caller's."""
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.client import pywrap_tf_session as c_session

    from models.serving.server.servable import Servable

    servable = Servable("mlp", 1, model)
    signature = servable.signatures["serving_default"]
    feeds = {signature.inputs["x"]: np.full((1, 8), 0.1, np.float32)}
    fetches = list(signature.outputs.values())
    in_place = c_session.TF_NewBufferFromString(config_pb2.RunOptions(inter_op_thread_pool=-1).SerializeToString())
    microseconds = {}
    for name, options in (("default", None), ("in_place", in_place)):
        for count in (500, 5000):
            begin = time.process_time()
            for _ in range(count):
                c_session.TF_SessionRun_wrapper(servable._session._session, options, feeds, fetches, [], None)
        microseconds[name] = (time.process_time() - begin) / count * 1e6
    return microseconds


if __name__ == "__main__":
    print(json.dumps(_session_cpu(Path(sys.argv[1]))))
