"""Judges the canaries of a running server: takes back those over their budget, promotes those that stayed within it.

TF Serving does not count requests by version; with it our client judges canaries, and `headrace canary --watch`.
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
        pipeline: Name of the pipeline.
        version: Version of the canary.
        outcome: `taken back` or `promoted`; with `not` before it when the change cannot be written to disk.
        reason: Why, the end of a sentence.
    """

    pipeline: str
    version: int
    outcome: str
    reason: str


def judge(folders: Mapping[str, Path], url: str) -> list[Verdict]:
    """Takes back canaries that do not load or whose requests exceed the budget; promotes those that are due.

    Args:
        folders: Pipeline -> folder of its versions.
        url: URL of the REST API of an embedded server.

    Returns:
        A verdict for each canary that ended, or that should have ended and could not be written to disk.
    """
    canaries = {name: rollout for name, folder in folders.items() if (rollout := _with_canary(folder))}
    if not canaries:
        return []
    version_figures = _get(f"{url}/monitoring/versions") or {}
    verdicts = []
    for name, rollout in canaries.items():
        figures = {int(number): Figures(**values) for number, values in version_figures.get(name, {}).items()}
        outcome = _outcome(rollout, figures, _load_error(url, name, rollout.canary))
        if outcome and (verdict := _carry_out(name, folders[name], rollout.canary, *outcome)):
            verdicts.append(verdict)
    return verdicts


def _with_canary(folder: Path) -> Rollout | None:
    """Returns the rollout of a pipeline that has a canary; None without one."""
    with contextlib.suppress(ConfigError, OSError):  # reported by the commands that read the file
        rollout = rollouts.read(folder)
        return rollout if rollout.canary else None
    return None


def _load_error(url: str, name: str, canary: Canary) -> str | None:
    """Returns why the server could not load a canary; None where it did, or has not yet tried."""
    status = _get(f"{url}/v1/models/{name}/versions/{canary.version}") or {}
    for state in status.get("model_version_status", ()):
        if state["state"] == "END" and state["status"]["error_code"] != "OK":
            return state["status"]["error_message"]
    return None


def _outcome(rollout: Rollout, figures: Mapping[int, Figures], load_error: str | None) -> tuple[str, str] | None:
    """Returns how a canary ends, and why; None while it goes on.

    Args:
        rollout: Which versions are live, with a canary.
        figures: Version -> statistics of its last requests.
        load_error: Why the server could not load the canary; None where it did.
    """
    canary = rollout.canary
    observed = figures.get(canary.version, Figures())
    if load_error is not None:
        return TAKEN_BACK, f"it does not load: {load_error}"
    if reason := breach(canary, observed, figures.get(rollout.stable, Figures())):
        return TAKEN_BACK, reason
    is_due = canary.promote_after_s is not None and time.time() - canary.since > canary.promote_after_s
    if is_due and observed.requests >= ENOUGH:
        return (
            PROMOTED,
            f"{observed.errors} of the last {observed.requests} requests failed, p95 {observed.p95_ms:.1f} ms",
        )
    return None


def _carry_out(name: str, folder: Path, canary: Canary, outcome: str, reason: str) -> Verdict | None:
    """Promotes a canary or takes it back; returns the verdict, None where the canary had already ended."""
    change = rollouts.promote_canary if outcome == PROMOTED else rollouts.take_back
    try:
        return Verdict(name, canary.version, outcome, reason) if change(folder, canary.version, reason) else None
    except OSError as error:  # a full disk must not end the server
        return Verdict(name, canary.version, f"not {outcome}", f"{error.strerror} ({folder})")


def _get(url: str) -> dict[str, Any] | None:
    """Returns the JSON object at a URL of the server; None where there is none."""
    try:
        with open_url(url, timeout=5) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError):
        pass
    return None
