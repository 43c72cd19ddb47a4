import shutil

import numpy as np
import pytest

from data.errors import ServingError
from models.serving.client.client import Client
from models.serving.deployment.process import ServerProcess, running
from models.serving.rollout import rollouts
from models.serving.rollout.rollouts import Canary
from tests.models.serving.models import save
from tests.waiting import until

X = {"x": np.float32([[1, 2]])}


@pytest.fixture(scope="module")
def rolled_out(tmp_path_factory):
    """A server on a home with versions 1 and 2 of `m`, 2 a broken model; returns it and the folder of versions."""
    home = tmp_path_factory.mktemp("rollout")
    folder = home / "serving" / "m"
    save(folder / "1", 1.0)
    save(folder / "2", 2.0)
    # Without variables a version loads, and none of its requests can be answered.
    shutil.rmtree(folder / "2" / "variables")
    rollouts.promote(folder, 1)
    flags = [
        f"--model_config_file={folder / rollouts.CONFIG}",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
    ]
    server = ServerProcess(flags, home / "log")
    with running(server):
        yield server, folder


@pytest.mark.slow
def test_a_broken_canary_is_taken_back_and_no_request_fails(rolled_out):
    server, folder = rolled_out
    rollouts.start_canary(folder, Canary(2, 25))

    with Client(f"127.0.0.1:{server.port}", "m", follow=folder) as client:
        # Requests before the server has loaded it do not count.
        predictions = []
        until(lambda: not rollouts.read(folder).canary, lambda: predictions.append(client.predict(X)), pause_s=0)

    assert all(version == 1 for _, version in predictions)
    assert all(outputs["y"].tolist() == [[2.0, 3.0]] for outputs, _ in predictions)
    assert rollouts.read(folder).canary is None
    assert rollouts.audit(folder)[-1]["why"] == "error rate 100.0% of 20 requests, at most 1.0%"


@pytest.mark.slow
def test_a_good_canary_gets_exactly_its_share_and_bad_requests_do_not_count_against_it(rolled_out):
    server, folder = rolled_out
    save(folder / "3", 3.0)
    rollouts.start_canary(folder, Canary(3, 25))

    with Client(f"127.0.0.1:{server.port}", "m", follow=folder) as client:
        until(lambda: client.predict(X)[1] == 3, pause_s=0)
        versions = [client.predict(X)[1] for _ in range(100)]
        for _ in range(100):
            with pytest.raises(ServingError, match="input size does not match signature"):
                client.predict({})
        versions += [client.predict(X)[1] for _ in range(100)]

    assert versions.count(3) == 50
    assert versions.count(1) == 150
    assert rollouts.read(folder).canary.version == 3


@pytest.mark.slow
def test_a_missing_server_and_a_refused_request_have_different_messages(rolled_out):
    server, _ = rolled_out

    with Client("127.0.0.1:1", "m") as client, pytest.raises(ServingError, match="No model server answers at 127"):
        client.predict(X, seconds=5)
    with Client(f"127.0.0.1:{server.port}", "m") as client, pytest.raises(ServingError, match="FAILED_PRECONDITION"):
        client.predict(X, signature="nope")


@pytest.mark.slow
def test_a_proxy_of_the_environment_is_not_used_for_servers_on_this_machine(rolled_out, monkeypatch):
    from models.serving.smoke_test.candidate import Candidate
    from pipeline.live import canaries, rest_client

    server, folder = rolled_out
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    with Client(f"127.0.0.1:{server.port}", "m") as client:
        _, version = client.predict(X)
        assert client.states()[version] == "AVAILABLE"
    url = f"http://127.0.0.1:{server.rest_port}"
    assert rest_client.served_states(url, "m")[version] == "AVAILABLE"
    assert canaries._get(f"{url}/v1/models/m")["model_version_status"]
    candidate = Candidate(server, "m", folder, 1e-5)
    expected = {"y": X["x"] + np.float32(version)}
    candidate.compare_grpc("serving_default", X, expected)
    candidate.compare_rest("serving_default", X, expected)
