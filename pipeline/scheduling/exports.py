"""Exports a schedule to an external scheduler: systemd, cron, Kubernetes or Airflow."""

import shlex
from pathlib import Path

import yaml

from data.errors import ConfigError
from pipeline.scheduling import cron_fields
from pipeline.scheduling.store import Schedule

MAX_CRON_JOB_NAME = 52  # Kubernetes adds 11 characters for each job


def export(schedule: Schedule, to: str, home: Path) -> dict[str, str]:
    """Returns the files for another scheduler: file name -> content.

    Args:
        schedule: The schedule.
        to: `systemd`, `cron`, `kubernetes` or `airflow`.
        home: The home folder.

    Raises:
        ConfigError: The schedule has no cron fields, or the other scheduler cannot express it.
    """
    if schedule.cron is None:
        raise ConfigError(f"Schedule {schedule.name} has no cron fields; only `headrace scheduler` looks at data.")
    if "\n" in "".join(schedule.command("run", str(home))):
        raise ConfigError(f"Schedule {schedule.name} has a line break in its settings or the home's path; remove it.")
    exporters = {"systemd": systemd, "cron": cron, "kubernetes": kubernetes, "airflow": airflow}
    return exporters[to](schedule, home)


def systemd(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns a service unit and its timer; `Persistent` stands for the catch-up policy."""
    name = f"headrace-{schedule.name}"
    line = " ".join(_systemd_quoted(argument) for argument in schedule.command("run", str(home), "--wait"))
    service = (
        f"[Unit]\nDescription=Headrace pipeline {schedule.name}\n\n[Service]\nType=oneshot\n"
        f"WorkingDirectory={str(home).replace('%', '%%')}\nExecStart={line}\n"
        f"TimeoutStartSec={schedule.time_limit:.0f}\nUMask=0027\n"
    )
    calendars = "".join(
        f"OnCalendar={times} {schedule.zone}\n" for times in cron_fields.on_calendar(str(schedule.cron))
    )
    timer = (
        f"[Unit]\nDescription=When Headrace pipeline {schedule.name} runs\n\n[Timer]\n{calendars}"
        f"Persistent={'false' if schedule.catch_up == 'skip' else 'true'}\n"
        f"RandomizedDelaySec={schedule.jitter:.0f}\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{name}.service": service, f"{name}.timer": timer}


def _systemd_quoted(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != argument or any(character in argument for character in " '\t;{}") else argument


def cron(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns the lines of a crontab; percent signs are escaped, since cron ends the command there."""
    cron_fields.parse(str(schedule.cron), "cron")
    line = shlex.join(["timeout", f"{schedule.time_limit:.0f}", *schedule.command("run", str(home), "--wait")]).replace(
        "%", "\\%"
    )
    log = shlex.quote(str(home / "scheduler" / f"{schedule.name}.log")).replace("%", "\\%")
    return {f"{schedule.name}.crontab": f"CRON_TZ={schedule.zone}\n{schedule.cron} {line} >>{log} 2>&1\n"}


def kubernetes(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns a CronJob; its owner has to fill in image and volume."""
    name = f"headrace-{schedule.name.lower().replace('_', '-')}"[:MAX_CRON_JOB_NAME].rstrip("-")
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
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": cron_fields.portable(str(schedule.cron), "Kubernetes"),
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
    return {f"{name}.yaml": yaml.safe_dump(cron_job, sort_keys=False)}


def airflow(schedule: Schedule, home: Path) -> dict[str, str]:
    """Returns a DAG file for Airflow 2.4 and later."""
    line = shlex.join(schedule.command("run", str(home), "--wait"))
    if any(delimiter in line for delimiter in ("{{", "{%", "{#")):  # Airflow would render it as a template
        line = "{% raw %}" + line + "{% endraw %}"
    if line.endswith((".sh", ".bash")):  # Airflow would read it as the path of a template
        line += " "
    cron_text = cron_fields.portable(str(schedule.cron), "Airflow")
    text = (
        f'"""Headrace pipeline {schedule.name}."""\n\n'
        "from datetime import datetime, timedelta\n\nimport pendulum\nfrom airflow import DAG\n"
        "from airflow.operators.bash import BashOperator\n\n"
        f"with DAG(\n    dag_id={'headrace_' + schedule.name!r},\n    schedule={cron_text!r},\n"
        f"    start_date=datetime(2026, 1, 1, tzinfo=pendulum.timezone({schedule.zone!r})),\n"
        f"    catchup={schedule.catch_up == 'all'},\n    max_active_runs=1,\n) as dag:\n"
        f"    BashOperator(\n        task_id='run',\n        bash_command={line!r},\n"
        f"        execution_timeout=timedelta(seconds={int(schedule.time_limit)}),\n    )\n"
    )
    return {f"headrace_{schedule.name}.py": text}
