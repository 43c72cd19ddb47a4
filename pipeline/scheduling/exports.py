"""A schedule for those who have a scheduler: systemd, cron, Kubernetes, Airflow."""

import shlex
from pathlib import Path

import yaml

from data.errors import ConfigError
from pipeline.scheduling.store import Schedule

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def export(schedule: Schedule, to: str, home: Path) -> dict[str, str]:
    """Returns file name -> content for another scheduler.

    Args:
        schedule: The schedule.
        to: `systemd`, `cron`, `kubernetes` or `airflow`.
        home: The home folder.

    Raises:
        ConfigError: The schedule has no cron fields, or the other scheduler cannot say the same.
    """
    if schedule.cron is None:
        raise ConfigError(f"Schedule {schedule.name} has no cron fields; only `headrace scheduler` looks at data.")
    makers = {"systemd": systemd, "cron": cron, "kubernetes": kubernetes, "airflow": airflow}
    return makers[to](schedule, home)


def systemd(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns a service and its timer; catching up is systemd's `Persistent`."""
    name = f"headrace-{schedule.name}"
    line = " ".join(_systemd_word(word) for word in schedule.command("run", str(home), "--wait"))
    service = (
        f"[Unit]\nDescription=Headrace pipeline {schedule.name}\n\n[Service]\nType=oneshot\n"
        f"WorkingDirectory={str(home).replace('%', '%%')}\nExecStart={line}\n"
        f"TimeoutStartSec={schedule.time_limit:.0f}\nUMask=0027\n"
    )
    whens = "".join(f"OnCalendar={when} {schedule.zone}\n" for when in on_calendar(str(schedule.cron)))
    timer = (
        f"[Unit]\nDescription=When Headrace pipeline {schedule.name} runs\n\n[Timer]\n{whens}"
        f"Persistent={'false' if schedule.catch_up == 'skip' else 'true'}\n"
        f"RandomizedDelaySec={schedule.jitter:.0f}\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{name}.service": service, f"{name}.timer": timer}


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or any(sign in word for sign in " '\t;{}") else word


def on_calendar(fields: str) -> list[str]:
    """Returns cron fields in systemd's words; two where cron takes day of the month or weekday, either of them.

    Raises:
        ConfigError: systemd cannot say it.
    """
    minute, hour, day, month, weekday = fields.split()
    if any(sign in fields for sign in "#LW"):
        raise ConfigError(f"systemd has no words for {fields!r}; use `headrace scheduler`.")
    time = f"{_field(hour, 0)}:{_field(minute, 0)}:00"
    week = _weekdays(weekday)
    date = f"*-{_field(month, 1)}-{_field(day, 1)}"
    if week and day != "*":
        return [f"{date} {time}", f"{week} *-{_field(month, 1)}-* {time}"]
    return [f"{week} {date} {time}".strip()]


def _field(field: str, start: int) -> str:
    """Returns one field: `a-b` becomes `a..b`, `*/n` counts from the field's first value."""
    parts = []
    for part in field.split(","):
        first, _, step = part.partition("/")
        first = first.replace("-", "..")
        if step and first == "*":
            first = str(start)
        parts.append(f"{first}/{step}" if step else first)
    return ",".join(parts)


def _weekdays(field: str) -> str:
    if field == "*":
        return ""
    parts = []
    for part in field.split(","):
        first, _, step = part.partition("/")
        ends = [_weekday(one) for one in first.split("-")] if first != "*" else ["Sun", "Sat"]
        if step or (len(ends) == 2 and WEEKDAYS.index(ends[0]) > WEEKDAYS.index(ends[1]) and ends[1] != "Sun"):
            low, high = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
            parts += [WEEKDAYS[index] for index in range(low, high + 1, int(step or 1))]
        else:
            parts.append("..".join(ends))
    return ",".join(parts)


def _weekday(text: str) -> str:
    return WEEKDAYS[int(text)] if text.isdecimal() else text.capitalize()


def cron(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns the lines of a crontab; a percent sign would end the command there."""
    line = shlex.join(["timeout", f"{schedule.time_limit:.0f}", *schedule.command("run", str(home), "--wait")]).replace(
        "%", "\\%"
    )
    log = shlex.quote(str(home / "scheduler" / f"{schedule.name}.log")).replace("%", "\\%")
    return {f"{schedule.name}.crontab": f"CRON_TZ={schedule.zone}\n{schedule.cron} {line} >>{log} 2>&1\n"}


def kubernetes(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns a CronJob; image and volume are for its owner to fill in."""
    name = f"headrace-{schedule.name.lower().replace('_', '-')}"
    arguments = ["run", schedule.target, "--home", "/home/headrace", "--wait", *schedule.settings()]
    container = {
        "name": "headrace",
        "image": "headrace:latest",
        "command": ["headrace"],
        "args": arguments,
        "volumeMounts": [{"name": "home", "mountPath": "/home/headrace"}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "headrace-home"}}],
    }
    made = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": schedule.cron,
            "timeZone": schedule.zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 60 if schedule.catch_up == "skip" else 86400,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,
                    "activeDeadlineSeconds": int(schedule.time_limit),
                    "template": {"spec": pod},
                }
            },
        },
    }
    return {f"{name}.yaml": yaml.safe_dump(made, sort_keys=False)}


def airflow(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns a DAG file for Airflow 2.4 and later."""
    line = shlex.join(schedule.command("run", str(home), "--wait"))
    if "{{" in line or "{%" in line:  # Airflow takes it for a template
        line = "{% raw %}" + line + "{% endraw %}"
    text = (
        f'"""Headrace pipeline {schedule.name}."""\n\n'
        "from datetime import datetime, timedelta\n\nimport pendulum\nfrom airflow import DAG\n"
        "from airflow.operators.bash import BashOperator\n\n"
        f"with DAG(\n    dag_id={'headrace_' + schedule.name!r},\n    schedule={schedule.cron!r},\n"
        f"    start_date=datetime(2026, 1, 1, tzinfo=pendulum.timezone({schedule.zone!r})),\n"
        f"    catchup={schedule.catch_up == 'all'},\n    max_active_runs=1,\n) as dag:\n"
        f"    BashOperator(\n        task_id='run',\n        bash_command={line!r},\n"
        f"        execution_timeout=timedelta(seconds={int(schedule.time_limit)}),\n    )\n"
    )
    return {f"headrace_{schedule.name}.py": text}
