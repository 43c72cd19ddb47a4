"""Which server is started as a child process, and with which flags."""

import subprocess
import sys

import pytest

from data.errors import ServingError
from models.serving.deployment.process import ServerProcess, choose, running
from tests.conftest import ROOT
from tests.models.serving.conftest import ServerClient
from tests.models.serving.models import save
from tests.waiting import PATIENCE_S


@pytest.mark.slow
def test_a_folder_models_of_the_user_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise RuntimeError")
    save(tmp_path / "m" / "1")
    monkeypatch.chdir(tmp_path)

    server = ServerProcess(["--model_name=m", f"--model_base_path={tmp_path / 'm'}"], tmp_path / "log")
    with running(server):
        assert ServerClient(server).predict({"instances": [[1, 2]]}, "m") == {"predictions": [[1.5, 2.5]]}


@pytest.mark.slow
def test_the_binary_is_used_if_it_is_on_the_path(tmp_path, monkeypatch):
    binary = tmp_path / "bin" / "tensorflow_model_server"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m models.serving.server "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}:/usr/bin:/bin")
    save(tmp_path / "m" / "1")
    flags = [
        "--model_name=m",
        f"--model_base_path={tmp_path / 'm'}",
        "--input_validation=true",
        "--input_guard=true",
        "--access_log=x",
    ]

    assert choose("auto") == "binary"
    server = ServerProcess(flags, tmp_path / "log", "binary")
    assert not [flag for flag in server.command() if flag.startswith(("--input", "--access_log", "--host"))]
    with running(server):
        assert ServerClient(server).predict({"instances": [[1, 2]]}, "m") == {"predictions": [[1.5, 2.5]]}


@pytest.mark.slow
def test_the_container_is_used_if_docker_runs(tmp_path, monkeypatch):
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    # A docker that runs the embedded server with the arguments after the image's name.
    docker.write_text(
        f'#!/bin/sh\n[ "$1" = info ] && exit 0\necho "$@" > {tmp_path}/arguments\n'
        'while [ "${1#tensorflow/serving}" = "$1" ]; do shift; done; shift\n'
        f'exec {sys.executable} -m models.serving.server "$@"\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:/usr/bin:/bin")
    save(tmp_path / "m" / "1")

    assert choose("auto") == "docker"
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--input_validation=false", "--input_guard=false"]
    server = ServerProcess(flags, tmp_path / "log", "docker", folders=[tmp_path / "m"])
    with running(server):
        assert ServerClient(server).predict({"instances": [[1, 2]]}, "m") == {"predictions": [[1.5, 2.5]]}
    arguments = (tmp_path / "arguments").read_text()
    assert f"-p 127.0.0.1:{server.port}:{server.port}" in arguments
    assert "-e TF_FORCE_GPU_ALLOW_GROWTH=true " in arguments
    assert f"-v {tmp_path / 'm'}:{tmp_path / 'm'}:ro tensorflow/serving:" in arguments
    assert "--input" not in arguments


def test_an_engine_that_is_not_available_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert choose("auto") == "embedded"
    with pytest.raises(
        ServingError, match="tensorflow_model_server is not on the path; --engine embedded needs neither"
    ):
        choose("binary")
    with pytest.raises(ServingError, match="no docker engine is running"):
        choose("docker")


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "expected"), [(None, "true"), ("false", "false")])
def test_servers_allocate_gpu_memory_as_needed_unless_the_user_says_otherwise(tmp_path, monkeypatch, setting, expected):
    name = "TF_FORCE_GPU_ALLOW_GROWTH"
    monkeypatch.delenv(name, raising=False)
    if setting:
        monkeypatch.setenv(name, setting)
    binary = tmp_path / "tensorflow_model_server"
    binary.write_text(f'#!/bin/sh\necho "growth ${name}"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    server = ServerProcess([], tmp_path / "log", "binary")
    server.start()
    server.process.wait(PATIENCE_S)

    assert server.last_words() == f"growth {expected}"
    code = f"import os, models.serving.server.server; print(os.environ['{name}'])"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert completed.stdout.strip() == expected
