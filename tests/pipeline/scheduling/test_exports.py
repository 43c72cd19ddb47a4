import ast
import contextlib
import dataclasses
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import jinja2
import pytest
import yaml

from data.errors import ConfigError
from pipeline.scheduling import cron_fields, exports, times
from pipeline.scheduling.store import Schedule

NIGHTLY = Schedule(
    "digits", "digits", ("train.epochs=2", "model={dropout: 0.5}"), cron="0 3 * * 1-5", zone="Europe/Berlin",
    jitter=300.0, time_limit=7200.0,
)  # fmt: skip
HOME = Path("/data/head race 100%")


@pytest.mark.parametrize(
    ("cron", "expressions"),
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
def test_cron_fields_as_expressions_systemd_due_times(cron, expressions):
    assert cron_fields.on_calendar(cron) == expressions


# Valid for Debian's cron, and where parsers differ: names, 7 and ranges up to it, steps, days together with weekdays.
EXPRESSIONS = (
    "0 3 * * *", "*/15 8-18 * * 1-5", "0 0 1,15 * *", "0 6 * * */2", "0 6 * * 0-3", "0 6 * * 0-6", "0 6 * * 5-7",
    "0 6 * * 7", "0 6 * * SUN,WED", "0 6 * JUL,dec *", "0 6 1 jan-mar mon", "0 0 13 * 5", "0 0 13 * 0-7",
    "5/20 1-23/2 * * *", "10,11,12,50 0 */10 * *", "0 0 1-31/2 * 1", "7 5-9/4 28-31 2,3 *", "0 6 * * 1/2",
)  # fmt: skip
BOTH = "0 0 */2 * 1"  # for Debian's cron an odd day that is a Monday
BEGIN = datetime(2026, 11, 25, tzinfo=UTC) - timedelta(seconds=1)


def _due_times(cron: str, count: int = 4) -> list[datetime]:
    timestamps = itertools.islice(times.after(cron, "UTC", BEGIN.timestamp()), count)
    return [datetime.fromtimestamp(due, UTC) for due in timestamps]


def _systemd_due_times(expressions: list[str], count: int = 4) -> list[datetime]:
    """Returns the due times of OnCalendar expressions according to systemd itself."""
    texts = set()
    for expression in expressions:
        command = ["systemd-analyze", "calendar", f"--base-time={BEGIN:%Y-%m-%d %H:%M:%S} UTC", f"--iterations={count}"]
        result = subprocess.run(
            [*command, f"{expression} UTC"], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
        )
        texts |= set(re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", result.stdout, re.MULTILINE))
    return sorted(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts)[:count]


def _kubernetes_due_times(cron: str, count: int = 4) -> list[datetime]:
    """Returns due times as Kubernetes' robfig/cron and Airflow's croniter compute them; numeric fields only."""
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    minutes, hours, days, months, weekdays = (
        _field_values(field, low, high) for field, (low, high) in zip(cron.split(), bounds, strict=True)
    )
    are_stars = [cron.split()[index] == "*" for index in (2, 4)]
    due_times, moment = [], BEGIN.replace(second=0) + timedelta(minutes=1)
    while len(due_times) < count:
        matches = (moment.day in days, moment.isoweekday() % 7 in weekdays)
        if moment.month in months and (all(matches) if any(are_stars) else any(matches)):
            today = [moment.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes)]
            due_times += [due for due in today if due > BEGIN]
        moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
    return due_times[:count]


def _field_values(field: str, low: int, high: int) -> set[int]:
    values: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        assert match, part
        first, last, step = match.groups()
        begin, end = int(first or low), int(last or (first if first and not step else high))
        assert low <= begin <= end <= high, part
        values |= set(range(begin, end + 1, int(step or 1)))
    return values


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
@pytest.mark.parametrize("cron", [*EXPRESSIONS, BOTH])
def test_systemd_computes_the_same_due_times(cron):
    assert _systemd_due_times(cron_fields.on_calendar(cron)) == _due_times(cron)


@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_kubernetes_and_airflow_compute_the_same_due_times(cron):
    nightly = dataclasses.replace(NIGHTLY, cron=cron)

    job = yaml.safe_load(next(iter(exports.kubernetes(nightly, HOME).values())))

    assert _kubernetes_due_times(job["spec"]["schedule"]) == _due_times(cron)
    assert _kubernetes_due_times(_run_dag(nightly, HOME)["dag"]["schedule"]) == _due_times(cron)


@pytest.mark.parametrize("to", ["kubernetes", "airflow"])
def test_fields_that_kubernetes_and_airflow_cannot_express_are_refused(to):
    with pytest.raises(ConfigError, match=r"'0 0 \*/2 \* 1' means both"):
        exports.export(dataclasses.replace(NIGHTLY, cron=BOTH), to, HOME)


@pytest.mark.parametrize("to", ["systemd", "cron", "kubernetes", "airflow"])
@pytest.mark.parametrize("cron", ["0 0 L * *", "0 0 LW * *", "0 0 * * 5#2", "0 0 * * 5L"])
def test_fields_that_only_our_scheduler_supports_are_not_exported(to, cron):
    with pytest.raises(ConfigError, match="cannot express"):
        exports.export(dataclasses.replace(NIGHTLY, cron=cron), to, HOME)


@pytest.mark.parametrize("to", ["systemd", "cron", "kubernetes", "airflow"])
def test_six_fields_of_an_older_home_are_not_exported(to):
    with pytest.raises(ConfigError, match="expected five fields"):
        exports.export(dataclasses.replace(NIGHTLY, cron="0 0 3 * * *"), to, HOME)


# Arguments with special characters of all four schedulers.
HOSTILE = Schedule(
    "digits", "/data/a b/$x 50%.yaml",
    ("a='$HOME'", 'b="q\\"', "c={{d}}{% e %}", "d={# no comment #}", "e=100%", "f=run.sh"), cron="0 3 * * *",
)  # fmt: skip
COMMAND = HOSTILE.command("run", str(HOME), "--wait")


def test_the_command_of_the_unit_reads_back_as_it_was():
    service = exports.export(HOSTILE, "systemd", HOME)["headrace-digits.service"]

    (line,) = [line for line in service.splitlines() if line.startswith("ExecStart=")]
    assert _systemd_words(line.removeprefix("ExecStart=")) == COMMAND


def _systemd_words(line: str) -> list[str]:
    """Returns the arguments of a command line, split as in systemd.service(5)."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    plain = [re.sub(r"\\(.)", r"\1", quoted) if quoted else bare for quoted, bare in words]
    return [word.replace("%%", "%").replace("$$", "$") for word in plain]


def test_the_command_of_the_crontab_reads_back_as_it_was():
    (text,) = exports.export(HOSTILE, "cron", HOME).values()

    line = text.splitlines()[1]
    fields, command = line.split(" ", 5)[:5], line.split(" ", 5)[5]
    assert " ".join(fields) == HOSTILE.cron
    assert not re.search(r"(?<!\\)%", command)  # cron would end the command there
    words = shlex.split(command.replace("\\%", "%"))  # cron removes the backslash, the shell parses the rest
    assert words[:2] == ["timeout", "86400"]
    assert words[2:-2] == COMMAND
    assert words[-2:] == [f">>{HOME}/scheduler/digits.log", "2>&1"]


def test_the_command_of_the_cron_job_reads_back_as_it_was():
    (text,) = exports.export(HOSTILE, "kubernetes", HOME).values()

    (container,) = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] + container["args"] == ["headrace", *COMMAND[1:3], "--home", "/home/headrace",
                                                        *COMMAND[5:]]  # fmt: skip


def test_the_command_of_the_dag_reads_back_as_it_was():
    recorded = _run_dag(HOSTILE, HOME)

    line = jinja2.Environment().from_string(recorded["task"]["bash_command"]).render()
    assert shlex.split(line) == COMMAND
    assert not recorded["task"]["bash_command"].endswith((".sh", ".bash"))  # the name of a template's file
    assert (recorded["zone"], recorded["dag"]["catchup"], recorded["dag"]["max_active_runs"]) == ("UTC", False, 1)
    assert recorded["task"]["execution_timeout"] == timedelta(days=1)


def _run_dag(schedule: Schedule, home: Path) -> dict:
    """Runs a DAG file with stand-ins for Airflow and pendulum; returns the recorded arguments."""
    recorded: dict = {}

    @contextlib.contextmanager
    def dag(**arguments):
        recorded["dag"] = arguments
        yield

    def timezone(name: str):
        recorded["zone"] = name
        return UTC

    modules = {name: types.ModuleType(name) for name in ("airflow", "airflow.operators", "airflow.operators.bash")}
    modules["airflow"].DAG = dag
    modules["airflow.operators.bash"].BashOperator = lambda **arguments: recorded.update(task=arguments)
    modules["pendulum"] = types.ModuleType("pendulum")
    modules["pendulum"].timezone = timezone
    with mock.patch.dict(sys.modules, modules):
        exec(next(iter(exports.airflow(schedule, home).values())), {})
    return recorded


def test_the_name_of_a_cron_job_is_valid_in_kubernetes():
    (text,) = exports.export(
        dataclasses.replace(NIGHTLY, name="Churn_of-" + "x" * 60 + "_"), "kubernetes", HOME
    ).values()

    name = yaml.safe_load(text)["metadata"]["name"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", name)


def test_a_line_break_in_a_setting_is_refused():
    with pytest.raises(ConfigError, match="line break"):
        exports.export(dataclasses.replace(NIGHTLY, overrides=("a=b\nc",)), "cron", HOME)


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

    result = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in files)], capture_output=True, text=True
    )

    assert "digits" not in result.stderr, result.stderr


def test_the_crontab_keeps_percent_signs_and_quotes():
    (text,) = exports.export(NIGHTLY, "cron", HOME).values()

    zone, line = text.splitlines()
    assert zone == "CRON_TZ=Europe/Berlin"
    assert line.startswith("0 3 * * 1-5 timeout 7200 ")
    assert r"'/data/head race 100\%'" in line
    assert "'model={dropout: 0.5}'" in line


def test_the_cron_job_fits_the_model_of_kubernetes():
    from kubernetes import client

    (text,) = exports.export(NIGHTLY, "kubernetes", HOME).values()

    cron_job = yaml.safe_load(text)
    response = type("Response", (), {"data": json.dumps(cron_job)})
    job = client.ApiClient().deserialize(response, "V1CronJob")  # Kubernetes' own model of it
    assert job.spec.schedule == "0 3 * * 1-5"
    assert job.spec.concurrency_policy == "Forbid"
    pod = job.spec.job_template.spec.template.spec
    assert pod.containers[0].args[:4] == ["run", "digits", "--home", "/home/headrace"]
    assert pod.containers[0].args[-1] == "model={dropout: 0.5}"
    assert cron_job["spec"]["timeZone"] == "Europe/Berlin"


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
    with pytest.raises(ConfigError, match="systemd cannot express"):
        cron_fields.on_calendar("0 0 L * *")
