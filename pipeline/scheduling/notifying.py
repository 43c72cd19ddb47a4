"""Tells people what came of a scheduled run, or of a canary, in a file, by e-mail, by a webhook; never stops a run."""

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
from pipeline.scheduling.store import REFUSED, SUCCEEDED, Fire, Outcome, Schedule

RETRY_SECONDS = (1.0, 5.0, 25.0)  # between tries
TIMEOUT_SECONDS = 20.0

logger = logging.getLogger(__name__)


def tell(home: Path, schedule: Schedule, fire: Fire, outcome: Outcome, paused: bool) -> list[str]:
    """Tells all channels of a schedule what came of a run; returns what could not be told, a sentence each."""
    event = "success" if outcome.state == SUCCEEDED else "refused" if outcome.state == REFUSED else "failure"
    events = [event, *(["drift"] if fire.reason == "drift" else []), *(["paused"] if paused else [])]
    channels = [Notify.model_validate(one) for one in schedule.notify]
    return [problem for one in events for problem in send(channels, message(home, schedule, fire, outcome, one), home)]


def tell_trial(home: Path, pipeline: str, version: int, verdict: str, reason: str) -> list[str]:
    """Tells how a canary's trial ended, to the channels of the run that published it; returns what could not be told.

    Args:
        home: Folder of `runs/` and `serving/`.
        pipeline: Name of the pipeline.
        version: The canary.
        verdict: `taken back` or `promoted`.
        reason: Why.
    """
    paths = PipelinePaths.of(home, pipeline)
    try:
        run = read_manifest(paths.serving / str(version)).get("run", "")
    except ServingError:  # not published by us
        return []
    told = {
        "text": f"Canary {version} of {pipeline} was {verdict}: {reason}",
        "event": "canary",
        "pipeline": pipeline,
        "version": version,
        "run": run,
        "home": str(home),
    }
    return send(webhooks.channels(paths, run), told, home)


def message(home: Path, schedule: Schedule, fire: Fire, outcome: Outcome, event: str) -> dict[str, Any]:
    """Returns what is told, as JSON values; `text` is the whole in one sentence."""
    words = {
        "success": f"{schedule.name} succeeded: {outcome.message}",
        "refused": f"{schedule.name} was refused by a gate: {outcome.message}",
        "failure": f"{schedule.name} failed: {outcome.message}",
        "drift": f"{schedule.name} ran because its data drifted",
        "paused": f"{schedule.name} is paused after {schedule.max_failures} failures in a row; "
        f"`headrace schedule resume {schedule.name}` lets it go on",
    }
    return {
        "text": words[event],
        "event": event,
        "pipeline": schedule.name,
        "run": outcome.run,
        "exit_code": outcome.exit_code,
        "reason": fire.reason,
        "due": fire.due,
        "home": str(home),
    }


def send(
    channels: Sequence[Notify],
    told: dict[str, Any],
    home: Path,
    waits: Sequence[float] = RETRY_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Sends a message to the channels that want its event; returns what failed in the end, a sentence each.

    Args:
        channels: Whom to tell.
        told: The message; see `message`.
        home: Where relative files start.
        waits: Seconds between tries.
        sleep: Waits.
    """
    problems = []
    for channel in channels:
        if told["event"] not in channel.events and told["event"] != "test":
            continue
        for wait in (*waits, None):
            try:
                _send_one(channel, told, home)
                break
            except Exception as error:  # whatever the network or a server does
                sentence = hide(f"{channel.name()} could not be told ({type(error).__name__}: {error})")
                logger.warning("%s", sentence)
                if wait is None:
                    problems.append(sentence)
                else:
                    sleep(wait)
    return problems


def _send_one(channel: Notify, told: dict[str, Any], home: Path) -> None:
    if channel.file is not None:
        _append(home / channel.file, told)
    elif channel.webhook is not None:
        _post(resolve(channel.webhook), told)
    elif channel.email is not None:
        _mail(channel.email, told)


def _append(path: Path, told: dict[str, Any]) -> None:
    """Adds a line to a file of JSON Lines; whole lines, whoever else writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **told}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _post(url: str, told: dict[str, Any]) -> None:
    """Posts JSON that Slack, Mattermost and Discord's Slack door take: they show `text`."""
    hide_url(url)  # of `${ENV:NAME}` and more, resolved
    request = urllib.request.Request(url, json.dumps(told).encode(), {"Content-Type": "application/json"})
    # An opener of its own: urlopen keeps the proxies of the process's first request.
    with urllib.request.build_opener().open(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read()


def _mail(channel: Email, told: dict[str, Any]) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"[headrace] {told['text'].splitlines()[0][:150]}"
    mail["From"], mail["To"] = channel.sender, ", ".join(channel.to)
    lines = [f"{name}: {value}" for name, value in told.items() if name != "text" and value is not None]
    mail.set_content("\n".join([told["text"], "", *lines]) + "\n")
    secure = channel.security == "tls"
    make = smtplib.SMTP_SSL if secure else smtplib.SMTP
    with make(channel.host, channel.port, timeout=TIMEOUT_SECONDS) as server:
        if channel.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if channel.user:
            server.login(resolve(channel.user), resolve(channel.password or ""))
        server.send_message(mail)
