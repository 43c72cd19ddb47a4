"""Says which version of a pipeline is live, and changes it: promote, rollback, canary, versions."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifact_files import OVERALL
from data.errors import ConfigError, ServingError
from data.spec import DatasetSpec
from models import registry
from models.evaluation.names import shown
from models.serving.rollout import rollouts
from models.serving.rollout.versions import is_version, last_version, published_at, read_manifest, versions
from pipeline.core.screen import redirected
from pipeline.live.rest_client import served_states
from pipeline.live.serving import destinations, running

UNKNOWN_SECONDS = 30  # TF Serving as we configure it looks for changes every ten


def promoted(home: Path, pipeline: str, version: str, why: str) -> rollouts.Rollout:
    """Makes a version live: a number, `latest` for the newest from now on, or `canary` for the one on trial."""
    folder = _one(home, pipeline)
    if version == "latest":
        return rollouts.promote(folder, None, why)
    if version == "canary":
        canary = rollouts.read(folder).canary
        if canary is None:
            raise ConfigError(
                f"Pipeline {folder.name} has no canary; `headrace canary {folder.name} VERSION` starts one."
            )
        return rollouts.promote(folder, canary.version, why)
    if not is_version(version):
        raise ConfigError(f"Expected a version, latest or canary; found {version!r}.")
    return rollouts.promote(folder, int(version), why)


def rolled_back(home: Path, pipeline: str, why: str) -> rollouts.Rollout:
    """Ends the canary, or goes back to the version that was live before."""
    return rollouts.rollback(_one(home, pipeline), why)


def canary(home: Path, pipeline: str, candidate: rollouts.Canary, why: str) -> rollouts.Rollout:
    """Gives a version its share of the requests."""
    return rollouts.start_canary(_one(home, pipeline), candidate, why)


@dataclass(frozen=True)
class Watched:
    """What came of watching a canary.

    Attributes:
        requests: How many were sent.
        canary: How many of them the canary answered.
        reason: Why it was taken back; None when it stays.
    """

    requests: int
    canary: int
    reason: str | None


def watch(home: Path, pipeline: str, server: str | None, seconds: float) -> Watched:
    """Sends a canary its share of the model's own warm-up requests; takes it back when it leaves its budget.

    Args:
        home: Folder of `serving/`.
        pipeline: Which.
        server: `host:port` of the gRPC API; None: the server that runs on this home.
        seconds: For how long.

    Raises:
        ConfigError: There is no canary, or no server runs.
        ServingError: The stable version does not answer, or the server does not know the canary.
    """
    folder = _one(home, pipeline)
    now = rollouts.read(folder)
    if now.canary is None:
        raise ConfigError(f"Pipeline {folder.name} has no canary to watch.")
    here = running(home, folder.name)
    address = server or (here.grpc if here else None)
    if address is None:
        raise ConfigError(f"No server of {folder.name} runs on this home; start one: headrace serve {folder.name}")
    with redirected(Path(os.devnull)):  # what TensorFlow says while it loads
        sent, answered, reason = _watch(folder, now.canary, address, seconds)
    return Watched(sent, answered, reason)


def _watch(folder: Path, canary: rollouts.Canary, address: str, seconds: float) -> tuple[int, int, str | None]:
    """Returns how many requests were sent, how many the canary answered, and why it was taken back."""
    from models.serving.client.client import Client
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array

    requests = [log.predict_log.request for log in warmup.read(folder / str(canary.version))]
    if not requests:
        raise ConfigError(f"Version {canary.version} has no warm-up requests to watch it with.")
    questions = [
        ({alias: to_array(one.inputs[alias]) for alias in one.inputs}, one.model_spec.signature_name)
        for one in requests
    ]

    sent = answered = 0
    with Client(address, folder.name, follow=folder) as client:
        _wait_until_loaded(client, folder, canary.version)
        until = time.monotonic() + seconds
        while time.monotonic() < until and rollouts.read(folder).canary == canary:
            inputs, signature = questions[sent % len(questions)]
            _, version = client.predict(inputs, signature)
            sent += 1
            answered += version == canary.version
            time.sleep(0.005)
    # The server that `headrace serve` started judges too, and may have been first.
    last = rollouts.audit(folder)[-1]
    return sent, answered, last["why"] if last["what"] == "rollback" else None


def _wait_until_loaded(client: Any, folder: Path, version: int) -> None:
    """Waits until the server has a canary; takes back one that does not load.

    Raises:
        ServingError: The server does not even begin to load it.
    """
    until = time.monotonic() + UNKNOWN_SECONDS
    while rollouts.read(folder).canary:
        state = client.states().get(version, "")
        if state == "AVAILABLE":
            return
        if not state and time.monotonic() > until:
            raise ServingError(
                f"The server knows no version {version} of {folder.name} after {UNKNOWN_SECONDS} s; "
                "does it serve this home?"
            )
        if state.startswith("END: "):
            rollouts.take_back(folder, version, f"it does not load: {state.removeprefix('END: ')}")
        time.sleep(0.1)


def listing(home: Path, pipeline: str) -> list[dict[str, Any]]:
    """Returns each version of a pipeline, the newest first: its labels, who published it, when, its metrics.

    `state` is what the server that runs on this home says of it, such as `AVAILABLE`; empty without one. `canary` is
    what became of it as a canary: `outcome`, `time`, `who` and `why`; None where it was none, or is one still. `shown`
    are the names of the metrics that are shown where not all are, the usual one of the task first.
    """
    folder = _one(home, pipeline)
    here = running(home, folder.name)
    states = served_states(here.rest, folder.name) if here else {}
    now, changes = rollouts.read(folder), rollouts.audit(folder)
    latest = last_version(folder)
    found = []
    for version in reversed(versions(folder)):
        try:
            facts = read_manifest(folder / str(version))
        except ServingError:
            facts = {}
        stable = now.stable if now.stable is not None else latest
        labels = ["stable"] * (version == stable) + ["previous"] * (version == now.previous)
        if now.canary and now.canary.version == version:
            labels.append(f"canary {now.canary.percent:g} %")
        metrics = facts.get("evaluation", {}).get("slices", {}).get(OVERALL) or {}
        given = [one for one in changes if _role(one["after"], version) not in (None, _role(one["before"], version))]
        found.append(
            {
                "version": version,
                "labels": labels,
                "state": states.get(version, ""),
                "published": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(published_at(folder / str(version)))),
                "by": facts.get("by", ""),
                "run": facts.get("run", ""),
                "metrics": metrics,
                "shown": shown(metrics, _compared(facts)),
                "serving": facts.get("serving", {}),
                "change": given[-1] if given else None,
                "canary": _canary_outcome(changes, version),
            }
        )
    return found


def why_not_live(home: Path, pipeline: str) -> str:
    """Returns that the version that is pinned as live is gone, in one sentence; empty where it is not."""
    return rollouts.why_not_live(_one(home, pipeline))


def _compared(manifest: Mapping[str, Any]) -> list[str]:
    """Returns the names of the metrics by which models of a version's task are compared; empty where not known."""
    try:
        config = registry.config_class(manifest["task"])()
        return list(config.compared(DatasetSpec.model_validate(manifest["spec"])))
    except (KeyError, ValueError):  # another release wrote it
        return []


def _canary_outcome(changes: list[dict[str, Any]], version: int) -> dict[str, Any] | None:
    """Returns how a version ended as a canary, by the audit; None where it was none, or is one still."""
    for one in reversed(changes):
        if _role(one["after"], version) == "canary":
            return None
        if _role(one["before"], version) == "canary":
            outcome = "promoted" if one["after"]["stable"] == version else "taken back"
            return {"outcome": outcome, **{key: one[key] for key in ("time", "who", "why")}}
    return None


def _role(live: dict[str, Any], version: int) -> str | None:
    """Returns what a version was, `stable` or `canary`, by a line of the audit; None when it was neither."""
    if live["stable"] == version:
        return "stable"
    return "canary" if (live["canary"] or {}).get("version") == version else None


def newest(home: Path, pipeline: str) -> Path:
    """Returns the folder of a pipeline's newest version; raises ConfigError without one."""
    folder = _one(home, pipeline)
    return folder / str(last_version(folder))


def _one(home: Path, pipeline: str) -> Path:
    return next(iter(destinations(home, [pipeline]).values()))
