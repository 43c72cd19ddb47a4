import ast
import shutil
import subprocess
from datetime import UTC
from pathlib import Path

import pytest
import yaml

from data.errors import ConfigError
from pipeline.scheduling import exports
from pipeline.scheduling.store import Schedule

NIGHTLY = Schedule(
    "digits", "digits", ("train.epochs=2", "model={dropout: 0.5}"), cron="0 3 * * 1-5", zone="Europe/Berlin",
    jitter=300.0, time_limit=7200.0,
)  # fmt: skip
HOME = Path("/data/head race 100%")


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 3 * * *", ["*-*-* 3:0:00"]),
        ("*/15 8-18 * * 1-5", ["Mon..Fri *-*-* 8..18:0/15:00"]),
        ("0 0 1,15 * *", ["*-*-1,15 0:0:00"]),
        ("30 4 1 1-3 *", ["*-1..3-1 4:30:00"]),
        ("0 6 * * 0", ["Sun *-*-* 6:0:00"]),
        ("0 6 * * 7", ["Sun *-*-* 6:0:00"]),
        ("0 6 * * mon,wed", ["Mon,Wed *-*-* 6:0:00"]),
        ("0 6 * * */2", ["Sun,Tue,Thu,Sat *-*-* 6:0:00"]),
        ("0 0 13 * 5", ["*-*-13 0:0:00", "Fri *-*-* 0:0:00"]),
    ],
)
def test_cron_fields_in_systemds_words(cron, words):
    assert exports.on_calendar(cron) == words


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_takes_the_times_and_means_the_same():
    from datetime import datetime

    from pipeline.scheduling import times

    for cron in ("0 3 * * *", "*/15 8-18 * * 1-5", "0 0 1,15 * *", "0 6 * * */2"):
        (words,) = exports.on_calendar(cron)
        command = [
            "systemd-analyze",
            "calendar",
            "--base-time=2026-11-25 00:00:00 UTC",
            "--iterations=3",
            f"{words} UTC",
        ]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC"}).stdout
        theirs = [line.split(": ", 1)[1].strip() for line in out.splitlines() if "elapse" in line or "Iter" in line]
        begin = datetime(2026, 11, 25, tzinfo=UTC).timestamp() - 1
        ours = [next_due for next_due, _ in zip(times.after(cron, "UTC", begin), range(3), strict=False)]
        told = [datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%d %H:%M:%S") for due in ours]
        assert [one.split(" ", 1)[1].removesuffix(" UTC") for one in theirs if one.endswith("UTC")] == told


def test_the_unit_and_its_timer():
    files = exports.export(NIGHTLY, "systemd", HOME)

    service, timer = files["headrace-digits.service"], files["headrace-digits.timer"]
    assert "ExecStart=" in service
    assert '"--home" ' not in service
    assert '--home "/data/head race 100%%" --wait --set train.epochs=2 --set "model={dropout: 0.5}"' in service
    assert "TimeoutStartSec=7200" in service
    assert "OnCalendar=Mon..Fri *-*-* 3:0:00 Europe/Berlin" in timer
    assert "Persistent=true" in timer
    assert "RandomizedDelaySec=300" in timer


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    files = exports.export(NIGHTLY, "systemd", tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in files)], capture_output=True, text=True
    )

    assert "digits" not in done.stderr, done.stderr


def test_the_crontab_keeps_percent_signs_and_quotes():
    (text,) = exports.export(NIGHTLY, "cron", HOME).values()

    zone, line = text.splitlines()
    assert zone == "CRON_TZ=Europe/Berlin"
    assert line.startswith("0 3 * * 1-5 timeout 7200 ")
    assert r"'/data/head race 100\%'" in line
    assert "'model={dropout: 0.5}'" in line


def test_the_cron_job_is_what_kubernetes_takes():
    from kubernetes import client

    (text,) = exports.export(NIGHTLY, "kubernetes", HOME).values()

    found = yaml.safe_load(text)
    fake = type("Answer", (), {"data": __import__("json").dumps(found)})
    job = client.ApiClient().deserialize(fake, "V1CronJob")  # Kubernetes' own model of it
    assert job.spec.schedule == "0 3 * * 1-5"
    assert job.spec.concurrency_policy == "Forbid"
    pod = job.spec.job_template.spec.template.spec
    assert pod.containers[0].args[:4] == ["run", "digits", "--home", "/home/headrace"]
    assert pod.containers[0].args[-1] == "model={dropout: 0.5}"
    assert found["spec"]["timeZone"] == "Europe/Berlin"


def test_the_dag_is_python_and_no_template():
    hostile = Schedule("digits", "digits", ("model={{'a': 1}}",), cron="0 3 * * *", catch_up="all")
    (text,) = exports.export(hostile, "airflow", HOME).values()

    tree = ast.parse(text)
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert "headrace_digits" in words
    assert any(word.startswith("{% raw %}") and word.endswith("{% endraw %}") for word in words)
    assert "catchup=True" in text


def test_a_schedule_of_data_alone_cannot_be_exported():
    with pytest.raises(ConfigError, match="has no cron fields"):
        exports.export(Schedule("digits", "digits", on_new_data=True), "cron", HOME)
    with pytest.raises(ConfigError, match="systemd has no words"):
        exports.on_calendar("0 0 L * *")
