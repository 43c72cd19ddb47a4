"""Versions switched under load: no request is lost, none is answered wrongly."""

import os
import random
import shutil
import signal
import threading
import time

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

pytestmark = pytest.mark.slow

CLIENTS, SWITCHES, KILLS = 8, 100, 5
BIASES = (1.0, 2.0)  # of even and of odd versions


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
    """Eight clients that ask as fast as they can, and hold each answer against the version that gave it."""

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
        asked = request("m", x=np.float32([[value, value]]))
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options) as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            while not self._done.is_set():
                try:
                    answer = predict(asked, timeout=30)
                except grpc.RpcError as error:
                    if self.retry and error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                        time.sleep(0.02)
                        continue
                    self.wrong.append(f"{error.code()}: {error.details()}")
                    return
                version = answer.model_spec.version.value
                expected = value + BIASES[version % 2]
                if list(answer.outputs["y"].float_val) != [expected, expected]:
                    self.wrong.append(f"version {version}: {answer.outputs['y'].float_val}, expected {expected}")
                self.answered += 1
                self.versions.add(version)
                time.sleep(0.005)


def _look_now(process: ServerProcess, base: str) -> None:
    """Has the server look into its folder at once, by a config that changes nothing: 100 polls would take 100 s."""
    asked = model_management_pb2.ReloadConfigRequest()
    asked.config.model_config_list.config.add(name="m", base_path=base, model_platform="tensorflow")
    with grpc.insecure_channel(f"127.0.0.1:{process.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(asked, timeout=60)


def _wait_for(port: int, version: int) -> None:
    """Waits until a version is available."""
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "m"
    end = time.monotonic() + 60
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
        while time.monotonic() < end:
            try:
                found = {one.version: one.state for one in status(asked, timeout=10).model_version_status}
                if found.get(version) == 30:
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.02)
    raise AssertionError(f"version {version} does not become available")


def test_a_hundred_switches_under_load_lose_and_falsify_nothing(served):
    process, publish = served

    with Load(process.port, retry=False) as load:
        for version in range(1, SWITCHES + 1):
            publish(version)
            _look_now(process, process.flags[1].partition("=")[2])
            _wait_for(process.port, version)
        end = time.monotonic() + 60
        while SWITCHES not in load.versions and time.monotonic() < end:  # the clients sleep between two requests
            time.sleep(0.02)

    assert load.wrong == []
    assert load.answered > SWITCHES
    assert max(load.versions) == SWITCHES


def test_a_server_killed_and_started_again_never_answers_wrongly(served):
    process, publish = served
    moments = random.Random(0)

    with Load(process.port, retry=True) as load:
        for version in range(1, KILLS + 1):
            publish(version)
            time.sleep(moments.uniform(0, 2))
            process.process.send_signal(signal.SIGKILL)
            process.process.wait()
            process.start()
            process.wait(120)
            before = load.answered
            _wait_for(process.port, version)
            end = time.monotonic() + 60
            while load.answered == before and time.monotonic() < end:
                time.sleep(0.02)
            assert load.answered > before

    assert load.wrong == []
    assert KILLS in load.versions
