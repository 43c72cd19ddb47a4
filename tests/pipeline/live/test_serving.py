"""The commands that serve, promote, roll back and list versions, on a tiny model that was published by hand."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import psutil
import pytest

from models.serving.rollout import rollouts
from models.serving.rollout.versions import publish
from pipeline.live import serving
from tests.conftest import ROOT, headrace
from tests.pipeline import made_up
from tests.waiting import PATIENCE_S, until

MANIFEST = {
    "file_query": {"signature": "judge", "input_key": "text", "kind": "text", "top_k": 2},
    "run": "20261125-120000-000",
    "by": "ada",
    "evaluation": {"slices": {"overall": {"accuracy": 0.9}}},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home where pipelines `digits` and `spam` have published versions of a tiny model."""
    import numpy as np

    from models.serving.protocol import warmup
    from tests.models.serving.models import save

    home = tmp_path_factory.mktemp("home")
    for index, name in enumerate(("digits", "digits", "digits", "spam")):
        model = save(home / f"model{index}", float(index))
        output = np.float32([[1 + index, 2 + index]])
        warmup.write(model, [("serving_default", {"x": np.float32([[1, 2]])}, {"y": output})])
        publish(model, home / "serving" / name, MANIFEST)
    record = made_up.record_of(MANIFEST["run"], made_up.spec_of(("a", "b")), "digits")
    record.settings["notify"] = [{"file": "notified.jsonl"}]
    made_up.write_record(home, record)
    return home


def version_numbers(home, pipeline="digits"):
    """Returns the numbers of the published versions, the newest first."""
    return [row["version"] for row in json.loads(headrace("versions", pipeline, "--home", home, "--json").out)]


@pytest.mark.slow
def test_versions_lists_the_live_version_its_publisher_and_the_reason(home):
    newest, middle, oldest = version_numbers(home)

    done = headrace("promote", "digits", middle, "--why", "better on sevens", "--home", home)
    assert (done.code, done.out) == (0, f"digits serves version {middle}\n")
    lines = headrace("versions", "digits", "--home", home).out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [str(newest), str(middle), str(oldest)]
    (live,) = [line for line in lines if line.endswith("stable")]
    assert live.startswith(str(middle))
    assert "accuracy 0.9000" in live
    assert "ada" in live
    assert any(line.strip().startswith("promote by ") and line.endswith(": better on sevens") for line in lines)

    done = headrace("rollback", "digits", "--home", home, "--json")
    assert json.loads(done.out)["stable"] == oldest
    assert headrace("promote", "digits", "latest", "--home", home).out == "digits serves the newest version\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("promote", "digits", "9"), "digits has no version 9; published are "),
        (("promote", "digits", "x"), "Expected a version, latest or canary; found 'x'."),
        (("promote", "digits", "9" * 5000), "Expected a version, latest or canary; found '999"),
        (("promote", "digits", "canary"), "Pipeline digits has no canary"),
        (("canary", "spam", "1"), "spam has no version 1"),
        (("rollback", "spam"), "there is nothing to go back to"),
        (
            ("versions", "taxi"),
            " first. Published are: ",
        ),
        (("serve", "taxi"), "Pipeline taxi has no published version"),
    ],
)
def test_an_invalid_command_gives_one_line_and_exit_code_2(home, arguments, words):
    done = headrace(*arguments, "--home", home)

    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) <= 2


@pytest.mark.slow
def test_print_config_writes_the_files_of_a_deployment(home, tmp_path):
    done = headrace("serve", "digits", "spam", "--print-config", "--out", tmp_path, "--home", home)

    names = {line.rpartition("/")[2] for line in done.out.splitlines()}
    assert names == {"models.config", "batching.config", "monitoring.config", "docker-compose.yaml", "kubernetes.yaml",
                     "nginx.conf"}  # fmt: skip
    assert 'base_path: "/models/spam"' in (tmp_path / "models.config").read_text()


class Serving:
    """`headrace serve` as a process."""

    def __init__(self, home, *pipelines):
        command = [sys.executable, "-m", "pipeline", "serve", *pipelines, "--port", "0", "--rest-port", "0",
                   "--engine", "embedded", "--home", str(home), "--json", "-f", "max_num_load_retries=0"]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.here = json.loads(self.process.stdout.readline())

    def version(self, pipeline, label=""):
        """Returns the version that the server uses without a version in the request."""
        url = f"{self.here['rest']}/v1/models/{pipeline}{label}/metadata"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
            return int(json.loads(reply.read())["model_spec"]["version"])

    def call_canary_until_it_ends(self, home, pipeline):
        """Sends requests to a canary until it is taken back or promoted."""
        url = f"{self.here['rest']}/v1/models/{pipeline}/labels/canary:predict"

        def send() -> None:
            try:
                urllib.request.urlopen(url, b'{"instances": [[1, 2]]}', timeout=PATIENCE_S).close()
            except urllib.error.HTTPError as error:  # the server does not know the label yet, or any more
                error.close()

        until(lambda: not rollouts.read(home / "serving" / pipeline).canary, send, pause_s=0)

    def wait_for(self, expected, pipeline, label=""):
        """Waits until the server uses the version `expected`."""

        def holds() -> bool:
            try:
                return self.version(pipeline, label) == expected
            except urllib.error.HTTPError as error:  # an unknown label
                error.close()
                return False

        until(holds)

    def stop(self):
        """Stops the server; returns its exit code and keeps its standard error in `err`."""
        self.process.send_signal(signal.SIGINT)
        _, self.err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode


@pytest.mark.slow
def test_a_running_server_follows_promote_and_canary_and_predict_uses_it(home):
    newest, middle, _ = version_numbers(home)
    serving = Serving(home)  # without names: all that is published
    try:
        assert sorted(serving.here["models"]) == ["digits", "spam"]
        assert serving.version("digits") == newest
        assert serving.version("digits", "/labels/stable") == newest  # before the first promotion
        first = headrace("versions", "digits", "--home", home).out.splitlines()[0]
        assert first.endswith("stable, served")

        headrace("promote", "digits", middle, "--home", home)
        serving.wait_for(middle, "digits")
        serving.wait_for(middle, "digits", "/labels/stable")

        headrace("canary", "digits", newest, "--percent", "25", "--home", home)
        serving.wait_for(newest, "digits", "/labels/canary")
        within_budget = headrace("canary", "digits", newest, "--percent", "50", "--watch", "2", "--home", home)
        assert within_budget.code == 0, within_budget.err
        assert within_budget.out.startswith(f"version {newest} answered ")
        assert within_budget.out.endswith(" requests and stays\n")
        over_budget = headrace("canary", "digits", newest, "--percent", "50", "--p95-ms", "0.0001", "--watch", "600",
                        "--home", home)  # fmt: skip
        assert over_budget.code == 5
        assert over_budget.err.startswith(f"headrace: Version {newest} was taken back: p95 ")
        serving.wait_for(middle, "digits")

        headrace("canary", "digits", newest, "--p95-ms", "0.0001", "--home", home)
        serving.call_canary_until_it_ends(home, "digits")
        assert rollouts.audit(home / "serving" / "digits")[-1]["why"].startswith("p95 ")

        predictions = json.loads(headrace("predict", "digits", "--text", "abé", "--home", home, "--json").out)
        top = [{"class": "good", "probability": 0.75}, {"class": "bad", "probability": 0.25}]
        assert predictions == [{"text": "abé", "version": middle, "top": top}]

        headrace("canary", "digits", newest, "--promote-after", "1s", "--home", home)
        serving.call_canary_until_it_ends(home, "digits")
        serving.wait_for(newest, "digits", "/labels/stable")
        assert rollouts.audit(home / "serving" / "digits")[-1]["why"].startswith("0 of the last ")
        until(lambda: "was promoted" in (home / "notified.jsonl").read_text())
        assert "was taken back: p95 " in (home / "notified.jsonl").read_text()

        with urllib.request.urlopen(
            f"{serving.here['rest']}/monitoring/prometheus/metrics", timeout=PATIENCE_S
        ) as response:
            assert b":tensorflow:serving:request_count" in response.read()
    finally:
        code = serving.stop()
    assert code == 0
    assert "canary promoted by " in headrace("versions", "digits", "--home", home).out
    assert "was taken back: p95 " in serving.err
    assert "was promoted: 0 of the last " in serving.err
    assert list((home / "serving" / ".servers").iterdir()) == []
    headrace("promote", "digits", "latest", "--home", home)


@pytest.mark.slow
def test_a_server_is_found_by_its_pipeline_and_a_killed_one_is_not(home):
    from pipeline.live.serving import find_server

    first = Serving(home, "digits")
    try:
        second = Serving(home, "spam")
        try:
            assert find_server(home, "digits").pid == first.process.pid
            assert find_server(home, "spam").pid == second.process.pid
            (server,) = psutil.Process(second.process.pid).children()
            second.process.kill()
            server.wait(PATIENCE_S)
            assert find_server(home, "spam") is None
            assert find_server(home, "digits").pid == first.process.pid
        finally:
            second.stop()
    finally:
        first.stop()


@pytest.mark.slow
def test_a_canary_that_does_not_load_is_taken_back_once_the_disk_is_writable(home, tmp_path):
    version = version_numbers(home, "spam")[0]
    folder = tmp_path / "serving" / "spam"
    for name in (str(version), "9999999999"):
        shutil.copytree(home / "serving" / "spam" / str(version), folder / name)
    (folder / "9999999999" / "saved_model.pb").unlink()
    rollouts.promote(folder, version)
    serving = Serving(tmp_path, "spam")
    try:
        rollouts.start_canary(folder, rollouts.Canary(9999999999, 10))
        (folder / rollouts.LOCK).unlink()
        (folder / rollouts.LOCK).mkdir()
        assert serving.process.stderr.readline() == (
            f"headrace: Canary 9999999999 of spam was not taken back: Is a directory ({folder}).\n"
        )
        assert serving.version("spam") == version
        (folder / rollouts.LOCK).rmdir()
        line = serving.process.stderr.readline()
        assert line.startswith("headrace: Canary 9999999999 of spam was taken back: it does not load: Could not find")
        assert rollouts.read(folder).canary is None
        assert serving.version("spam") == version
    finally:
        serving.stop()


@pytest.mark.slow
def test_a_port_in_use_is_an_error_before_the_server_starts(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = headrace("serve", "digits", "--rest-port", port, "--port", "0", "--home", home)

    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        f"headrace: --rest-port {port}: another server listens there; choose another, or 0 for a free one."
    )


@pytest.mark.slow
def test_a_flag_of_the_embedded_server_is_refused_for_tf_serving(home, tmp_path):
    (tmp_path / "tensorflow_model_server").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "tensorflow_model_server").chmod(0o755)

    done = headrace("serve", "digits", "--access-log", "-", "--home", home, PATH=f"{tmp_path}:/usr/bin:/bin")

    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "headrace: --access_log: TensorFlow Serving, which is here, has no such flag; add --engine embedded."
    )


def test_the_error_of_an_unpublished_pipeline_says_how_its_last_run_ended(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = made_up.record_of("20261125-120000-000", made_up.spec_of(("a", "b")), "cars", state="failed")
    record.error = "The network does not earn its place; auc: 0.5.\n  more"
    record.stages = record.stages[:7]
    made_up.write_record(tmp_path, record)
    page = tmp_path / "runs" / "cars" / "reports" / f"{record.run}.html"
    page.touch()

    failed = serving.why_unpublished(tmp_path, "cars")
    record.state, record.error = "stopped", None
    made_up.write_record(tmp_path, record)
    stopped = serving.why_unpublished(tmp_path, "cars")

    assert failed == (
        f": its last run ({record.run}) stopped at baseline: The network does not earn its place; auc: 0.5; page "
        f"runs/cars/reports/{record.run}.html"
    )
    assert stopped == f": its last run ({record.run}) was stopped at baseline; `headrace run cars` goes on from there"
    assert serving.why_unpublished(tmp_path, "boats") == "; run `headrace run boats` first"
