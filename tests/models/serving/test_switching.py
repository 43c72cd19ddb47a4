"""Versions switched under load: no request is lost, none is answered wrongly."""

import os
import shutil
import signal
import threading
import time
from functools import partial

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from models.serving.deployment.process import ServerProcess, running
from tests.models.serving.models import request, save
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow

CLIENTS = 8
BIASES = (1.0, 2.0)  # of even and of odd versions
AVAILABLE, END = 30, 50
# When the server is killed, by what is known of the newest version: it is published, seen, loaded, has answered, and is
# the only one left.
MOMENTS = (
    lambda load, port, version: True,
    lambda load, port, version: version in _states(port),
    lambda load, port, version: _states(port).get(version) == AVAILABLE,
    lambda load, port, version: version in load.versions,
    lambda load, port, version: _states(port).get(version - 1) == END,
)


@pytest.fixture
def served(tmp_path):
    """A server on model `m`, version 0, and a function that publishes the next version, one rename each."""
    models = [save(tmp_path / f"model{index}", bias) for index, bias in enumerate(BIASES)]
    base = tmp_path / "m"

    def publish(version: int) -> None:
        shutil.copytree(models[version % 2], base / ".staging", copy_function=os.link)
        (base / ".staging").rename(base / str(version))
        for old in range(version - 2):  # as `publish.keep` does
            shutil.rmtree(base / str(old), ignore_errors=True)

    base.mkdir()
    publish(0)
    flags = ["--model_name=m", f"--model_base_path={base}", "--file_system_poll_wait_seconds=1"]
    process = ServerProcess(flags, tmp_path / "log")
    with running(process):
        yield process, publish


class Load:
    """Eight clients that send requests as fast as they can, and check each response by its version."""

    def __init__(self, port: int, *, retry: bool):
        self.port, self.retry = port, retry
        self.answered, self.wrong, self.versions = 0, [], set()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        value = float(number)
        message = request("m", x=np.float32([[value, value]]))
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options) as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            while not self._done.is_set():
                try:
                    response = predict(message, timeout=PATIENCE_S)
                except grpc.RpcError as error:
                    if self.retry and error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                        time.sleep(0.02)
                        continue
                    self.wrong.append(f"{error.code()}: {error.details()}")
                    return
                version = response.model_spec.version.value
                expected = value + BIASES[version % 2]
                if list(response.outputs["y"].float_val) != [expected, expected]:
                    self.wrong.append(f"version {version}: {response.outputs['y'].float_val}, expected {expected}")
                self.answered += 1
                self.versions.add(version)
                time.sleep(0.005)


def _look_now(process: ServerProcess, base: str) -> None:
    """Has the server look into its folder at once, by a config that changes nothing: each poll would take a second."""
    message = model_management_pb2.ReloadConfigRequest()
    message.config.model_config_list.config.add(name="m", base_path=base, model_platform="tensorflow")
    with grpc.insecure_channel(f"127.0.0.1:{process.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(message, timeout=PATIENCE_S)


def _states(port: int) -> dict[int, int]:
    """Returns the states of the versions that there are or were; none while nobody answers."""
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "m"
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        ask = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
        try:
            return {one.version: one.state for one in ask(message, timeout=PATIENCE_S).model_version_status}
        except grpc.RpcError:
            return {}


def _wait_for(port: int, version: int) -> None:
    until(lambda: _states(port).get(version) == AVAILABLE, pause_s=0.02)


@pytest.mark.parametrize("switches", [30, pytest.param(100, marks=pytest.mark.long)])
def test_switches_under_load_lose_and_falsify_nothing(switches, served):
    process, publish = served

    with Load(process.port, retry=False) as load:
        for version in range(1, switches + 1):
            publish(version)
            _look_now(process, process.flags[1].partition("=")[2])
            _wait_for(process.port, version)
        until(lambda: (switches in load.versions and load.answered > switches) or load.wrong)

    assert load.wrong == []
    assert max(load.versions) == switches


def test_a_server_killed_and_started_again_never_answers_wrongly(served):
    process, publish = served

    with Load(process.port, retry=True) as load:
        for version, is_moment in enumerate(MOMENTS, 1):
            publish(version)
            until(partial(is_moment, load, process.port, version), pause_s=0.002)
            process.process.send_signal(signal.SIGKILL)
            process.process.wait()
            process.start()
            process.wait(PATIENCE_S)
            _wait_for(process.port, version)
            load.versions.clear()
            until(lambda: load.versions or load.wrong)
        until(lambda: len(MOMENTS) in load.versions or load.wrong)

    assert load.wrong == []
