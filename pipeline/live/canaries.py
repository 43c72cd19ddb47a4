"""Judges the canaries of a running server: takes back those out of their budget, promotes those that kept to it.

TF Serving does not count requests by version: under it our client judges, and `headrace canary --watch`.
"""

import contextlib
import json
import time
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from models.serving.protocol.addresses import open_url
from models.serving.rollout import rollouts
from models.serving.rollout.canary import ENOUGH, Figures, breach
from models.serving.rollout.rollouts import Canary, Rollout

TAKEN_BACK, PROMOTED = "taken back", "promoted"


@dataclass(frozen=True)
class Verdict:
    """How a canary ended.

    Attributes:
        pipeline: Its name.
        version: The canary.
        outcome: `taken back` or `promoted`; with `not` before it when the disk does not take that.
        reason: Why.
    """

    pipeline: str
    version: int
    outcome: str
    reason: str


def judge(folders: Mapping[str, Path], url: str) -> list[Verdict]:
    """Takes canaries back that do not load, or whose requests, whoever sent them, left the budget; promotes good ones.

    Args:
        folders: Pipeline -> folder of its versions.
        url: REST API of the server, the embedded one.

    Returns:
        The canaries that ended, or that should have.
    """
    live = {name: rollout for name, folder in folders.items() if (rollout := _with_canary(folder))}
    if not live:
        return []
    counted = _get(f"{url}/monitoring/versions") or {}
    verdicts = []
    for name, rollout in live.items():
        figures = {int(number): Figures(**one) for number, one in counted.get(name, {}).items()}
        ended = _outcome(rollout, figures, _load_error(url, name, rollout.canary))
        if ended and (verdict := _carry_out(name, folders[name], rollout.canary, *ended)):
            verdicts.append(verdict)
    return verdicts


def _with_canary(folder: Path) -> Rollout | None:
    """Returns what is live of a pipeline that has a canary; None without one."""
    with contextlib.suppress(ConfigError, OSError):  # told where somebody asks for the file
        found = rollouts.read(folder)
        return found if found.canary else None
    return None


def _load_error(url: str, name: str, canary: Canary) -> str | None:
    status = _get(f"{url}/v1/models/{name}/versions/{canary.version}") or {}
    for one in status.get("model_version_status", ()):
        if one["state"] == "END" and one["status"]["error_code"] != "OK":
            return one["status"]["error_message"]
    return None


def _outcome(rollout: Rollout, figures: Mapping[int, Figures], load_error: str | None) -> tuple[str, str] | None:
    """Returns how a canary ends, and why; None while it goes on.

    Args:
        rollout: What is live, with a canary.
        figures: Version -> its last requests.
        load_error: Why the server could not load the canary.
    """
    canary = rollout.canary
    seen = figures.get(canary.version, Figures())
    if load_error is not None:
        return TAKEN_BACK, f"it does not load: {load_error}"
    if reason := breach(canary, seen, figures.get(rollout.stable, Figures())):
        return TAKEN_BACK, reason
    is_due = canary.promote_after_s is not None and time.time() - canary.since > canary.promote_after_s
    if is_due and seen.requests >= ENOUGH:
        return PROMOTED, f"{seen.errors} of the last {seen.requests} requests failed, p95 {seen.p95_ms:.1f} ms"
    return None


def _carry_out(name: str, folder: Path, canary: Canary, outcome: str, reason: str) -> Verdict | None:
    """Changes what is live; returns the verdict, None where somebody else has ended the canary before."""
    change = rollouts.promote_canary if outcome == PROMOTED else rollouts.take_back
    try:
        return Verdict(name, canary.version, outcome, reason) if change(folder, canary.version, reason) else None
    except OSError as error:  # a full disk must not end what serves
        return Verdict(name, canary.version, f"not {outcome}", f"{error.strerror} ({folder})")


def _get(url: str) -> dict[str, Any] | None:
    """Returns the JSON at an address of the server; None where there is none."""
    try:
        with open_url(url, timeout=5) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError):
        pass
    return None
