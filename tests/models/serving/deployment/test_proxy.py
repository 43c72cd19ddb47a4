"""The proxy's config that is printed for a canary, in a real nginx."""

import json
import subprocess
import urllib.request

import pytest

from data.sources import debian
from models.serving.deployment import manifests
from models.serving.deployment.process import ServerProcess, free_port, listens, running
from models.serving.rollout import rollouts
from models.serving.rollout.rollouts import Canary
from tests.models.serving.models import save
from tests.waiting import PATIENCE_S, until

REQUESTS = 1000  # at 25 %, six standard deviations are 8 %


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """The path of nginx, unpacked from the distribution's package; nothing is installed."""
    folder = tmp_path_factory.mktemp("nginx")
    try:
        debian.fetch(["nginx"], folder)
    except debian.AptError as error:
        pytest.skip(f"nginx cannot be downloaded: {error}")
    program = folder / "usr" / "sbin" / "nginx"
    if not program.exists():
        pytest.skip("this distribution keeps nginx elsewhere")
    return program


def predict(port: int) -> float:
    """Returns the prediction for zero, which is the version that answers."""
    url = f"http://127.0.0.1:{port}/v1/models/m:predict"
    with urllib.request.urlopen(url, b'{"instances": [[0, 0]]}', timeout=PATIENCE_S) as reply:
        return json.loads(reply.read())["predictions"][0][0]


@pytest.mark.slow
def test_a_canary_gets_its_share_through_nginx_and_no_request_fails_when_it_ends(nginx, tmp_path):
    folder, port = tmp_path / "m", free_port()
    for version in (1, 2):
        save(folder / str(version), float(version))
    rollouts.promote(folder, 1)
    after = rollouts.start_canary(folder, Canary(2, 25))
    flags = [f"--model_config_file={folder / rollouts.CONFIG}", "--model_config_file_poll_wait_seconds=1",
             "--allow_version_labels_for_unavailable_models"]  # fmt: skip
    server = ServerProcess(flags, tmp_path / "log")
    with running(server):
        config = manifests.nginx({"m": after}).replace(
            f"serving:{manifests.REST_PORT}", f"127.0.0.1:{server.rest_port}"
        )
        config = config.replace(f"listen {manifests.PROXY_PORT}", f"listen 127.0.0.1:{port}")
        paths = [
            f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ]
        config = config.replace("http {", "http {\n  access_log off;\n  " + " ".join(paths))
        (tmp_path / "nginx.conf").write_text(config)
        directives = f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error;"
        proxy = subprocess.Popen(
            [nginx, "-p", tmp_path, "-c", "nginx.conf", "-e", tmp_path / "error", "-g", directives]
        )
        try:
            until(lambda: listens("127.0.0.1", port))
            predictions = [predict(port) for _ in range(REQUESTS)]
            assert set(predictions) == {1.0, 2.0}
            assert 0.17 < predictions.count(2.0) / REQUESTS < 0.33
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/m", timeout=PATIENCE_S) as reply:
                assert len(json.loads(reply.read())["model_version_status"]) == 2

            rollouts.take_back(folder, 2, "test")
            until(lambda: len(server_versions(server)) == 1, meanwhile=lambda: predict(port))
            assert {predict(port) for _ in range(100)} == {1.0}
        finally:
            proxy.terminate()
            proxy.wait(PATIENCE_S)


def server_versions(server: ServerProcess) -> list[int]:
    """Returns the versions that are available."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}/v1/models/m", timeout=PATIENCE_S) as reply:
        statuses = json.loads(reply.read())["model_version_status"]
    return [int(status["version"]) for status in statuses if status["state"] == "AVAILABLE"]
