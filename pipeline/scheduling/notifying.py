"""Notifications of scheduled runs and canaries by file, e-mail or webhook; a failure never stops a run."""

import json
import logging
import os
import smtplib
import ssl
import time
import urllib.request
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from data.errors import ServingError
from data.secrets import hide, hide_url, resolve
from models.serving.rollout.versions import read_manifest
from pipeline.core.config import Email, Notify
from pipeline.core.paths import PipelinePaths
from pipeline.history import webhooks
from pipeline.scheduling.store import REFUSED, SUCCEEDED, Outcome, Schedule, ScheduledRun

RETRY_SECONDS = (1.0, 5.0, 25.0)  # between attempts
TIMEOUT_SECONDS = 20.0

logger = logging.getLogger(__name__)


def notify_result(
    home: Path, schedule: Schedule, scheduled_run: ScheduledRun, outcome: Outcome, paused: bool
) -> list[str]:
    """Sends the result of a run to the channels of its schedule; returns a sentence for each failure."""
    result = "success" if outcome.state == SUCCEEDED else "refused" if outcome.state == REFUSED else "failure"
    events = [result, *(["drift"] if scheduled_run.reason == "drift" else []), *(["paused"] if paused else [])]
    channels = [Notify.model_validate(channel) for channel in schedule.notify]
    problems = []
    for event in events:
        problems += send(channels, build_message(home, schedule, scheduled_run, outcome, event), home)
    return problems


def notify_canary_outcome(home: Path, pipeline: str, version: int, verdict: str, reason: str) -> list[str]:
    """Sends the verdict on a canary to the channels of the run that published it; returns a sentence for each failure.

    Args:
        home: Folder of `runs/` and `serving/`.
        pipeline: Name of the pipeline.
        version: Version of the canary.
        verdict: `taken back` or `promoted`.
        reason: Reason of the verdict.
    """
    paths = PipelinePaths.of(home, pipeline)
    try:
        run = read_manifest(paths.serving / str(version)).get("run", "")
    except ServingError:  # not published by us
        return []
    message = {
        "text": f"Canary {version} of {pipeline} was {verdict}: {reason}",
        "event": "canary",
        "pipeline": pipeline,
        "version": version,
        "run": run,
        "home": str(home),
    }
    return send(webhooks.channels(paths, run), message, home)


def build_message(
    home: Path, schedule: Schedule, scheduled_run: ScheduledRun, outcome: Outcome, event: str
) -> dict[str, Any]:
    """Returns the message of an event as JSON values; `text` is a sentence with the result."""
    sentences = {
        "success": f"{schedule.name} succeeded: {outcome.message}",
        "refused": f"{schedule.name} was refused by a gate: {outcome.message}",
        "failure": f"{schedule.name} failed: {outcome.message}",
        "drift": f"{schedule.name} ran because its data drifted",
        "paused": f"{schedule.name} is paused after {schedule.max_failures} failures in a row; "
        f"`headrace schedule resume {schedule.name}` lets it go on",
    }
    return {
        "text": sentences[event],
        "event": event,
        "pipeline": schedule.name,
        "run": outcome.run,
        "exit_code": outcome.exit_code,
        "reason": scheduled_run.reason,
        "due": scheduled_run.due,
        "home": str(home),
    }


def send(
    channels: Sequence[Notify],
    message: dict[str, Any],
    home: Path,
    waits: Sequence[float] = RETRY_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Sends a message to the channels that want its event; returns a sentence for each channel that failed.

    Args:
        channels: Notification channels.
        message: The message; see `build_message`.
        home: Folder of relative file paths.
        waits: Seconds between attempts.
        sleep: Function that waits some seconds.
    """
    problems = []
    for channel in channels:
        if message["event"] not in channel.events and message["event"] != "test":
            continue
        for wait in (*waits, None):
            try:
                _send_one(channel, message, home)
                break
            except Exception as error:  # whatever the network or a server does
                sentence = hide(f"{channel.name()} could not be notified ({type(error).__name__}: {error})")
                logger.warning("%s", sentence)
                if wait is None:
                    problems.append(sentence)
                else:
                    sleep(wait)
    return problems


def _send_one(channel: Notify, message: dict[str, Any], home: Path) -> None:
    if channel.file is not None:
        _append(home / channel.file, message)
    elif channel.webhook is not None:
        _post(resolve(channel.webhook), message)
    elif channel.email is not None:
        _mail(channel.email, message)


def _append(path: Path, message: dict[str, Any]) -> None:
    """Appends a line to a JSON Lines file in one write, so that lines of several processes do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **message}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _post(url: str, message: dict[str, Any]) -> None:
    """Posts JSON as Slack, Mattermost and Discord's Slack-compatible webhooks expect it; they show `text`."""
    hide_url(url)  # the URL after `${ENV:NAME}` was resolved
    request = urllib.request.Request(url, json.dumps(message).encode(), {"Content-Type": "application/json"})
    # Not urlopen, which keeps the proxies of the process's first request.
    with urllib.request.build_opener().open(request, timeout=TIMEOUT_SECONDS) as response:
        response.read()


def _mail(channel: Email, message: dict[str, Any]) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"[headrace] {message['text'].splitlines()[0][:150]}"
    mail["From"], mail["To"] = channel.sender, ", ".join(channel.to)
    lines = [f"{name}: {value}" for name, value in message.items() if name != "text" and value is not None]
    mail.set_content("\n".join([message["text"], "", *lines]) + "\n")
    client = smtplib.SMTP_SSL if channel.security == "tls" else smtplib.SMTP
    with client(channel.host, channel.port, timeout=TIMEOUT_SECONDS) as server:
        if channel.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if channel.user:
            server.login(resolve(channel.user), resolve(channel.password or ""))
        server.send_message(mail)
