"""Lists the versions of a pipeline and changes which one is live: promote, rollback, canary, versions."""

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
from pipeline.live.serving import find_server, version_folders

UNKNOWN_SECONDS = 30  # TF Serving as we configure it polls for changes every 10 s


def promote(home: Path, pipeline: str, version: str, why: str) -> rollouts.Rollout:
    """Makes a version live: a number, `latest` for the newest from now on, or `canary` for the canary."""
    folder = _versions_folder(home, pipeline)
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


def roll_back(home: Path, pipeline: str, why: str) -> rollouts.Rollout:
    """Ends the canary, or goes back to the version that was live before."""
    return rollouts.rollback(_versions_folder(home, pipeline), why)


def start_canary(home: Path, pipeline: str, candidate: rollouts.Canary, why: str) -> rollouts.Rollout:
    """Gives a version its share of the requests."""
    return rollouts.start_canary(_versions_folder(home, pipeline), candidate, why)


@dataclass(frozen=True)
class WatchResult:
    """Result of sending requests to a canary.

    Attributes:
        requests: Number of requests.
        canary: Number of requests that the canary answered.
        reason: Why the canary was taken back; None when it stays.
    """

    requests: int
    canary: int
    reason: str | None


def watch(home: Path, pipeline: str, server: str | None, seconds: float) -> WatchResult:
    """Sends warm-up requests, the canary its share of them; takes the canary back when it exceeds its budget.

    Args:
        home: Folder of `serving/`.
        pipeline: Name of the pipeline.
        server: `host:port` of the gRPC API; None for the server that runs on this home.
        seconds: How long requests are sent.

    Raises:
        ConfigError: There is no canary, or no server runs.
        ServingError: The stable version does not answer, or the server does not know the canary.
    """
    folder = _versions_folder(home, pipeline)
    rollout = rollouts.read(folder)
    if rollout.canary is None:
        raise ConfigError(f"Pipeline {folder.name} has no canary to watch.")
    local = find_server(home, folder.name)
    address = server or (local.grpc if local else None)
    if address is None:
        raise ConfigError(f"No server of {folder.name} runs on this home; start one: headrace serve {folder.name}")
    with redirected(Path(os.devnull)):  # TensorFlow logs while it loads
        requests, by_canary, reason = _watch(folder, rollout.canary, address, seconds)
    return WatchResult(requests, by_canary, reason)


def _watch(folder: Path, canary: rollouts.Canary, address: str, seconds: float) -> tuple[int, int, str | None]:
    """Returns how many requests were sent, how many the canary answered, and why it was taken back."""
    from models.serving.client.client import Client
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array

    requests = [log.predict_log.request for log in warmup.read(folder / str(canary.version))]
    if not requests:
        raise ConfigError(f"Version {canary.version} has no warm-up requests to watch it with.")
    inputs_and_signatures = [
        ({alias: to_array(request.inputs[alias]) for alias in request.inputs}, request.model_spec.signature_name)
        for request in requests
    ]

    num_sent = num_answered = 0
    with Client(address, folder.name, follow=folder) as client:
        _wait_until_loaded(client, folder, canary.version)
        end = time.monotonic() + seconds
        while time.monotonic() < end and rollouts.read(folder).canary == canary:
            inputs, signature = inputs_and_signatures[num_sent % len(inputs_and_signatures)]
            _, version = client.predict(inputs, signature)
            num_sent += 1
            num_answered += version == canary.version
            time.sleep(0.005)
    # `headrace serve` judges canaries, too, and may have taken it back first.
    last_change = rollouts.audit(folder)[-1]
    return num_sent, num_answered, last_change["why"] if last_change["what"] == "rollback" else None


def _wait_until_loaded(client: Any, folder: Path, version: int) -> None:
    """Waits until the server has loaded a canary; takes back one that does not load.

    Raises:
        ServingError: The server does not begin to load it within UNKNOWN_SECONDS.
    """
    end = time.monotonic() + UNKNOWN_SECONDS
    while rollouts.read(folder).canary:
        state = client.states().get(version, "")
        if state == "AVAILABLE":
            return
        if not state and time.monotonic() > end:
            raise ServingError(
                f"The server knows no version {version} of {folder.name} after {UNKNOWN_SECONDS} s; "
                "does it serve this home?"
            )
        if state.startswith("END: "):
            rollouts.take_back(folder, version, f"it does not load: {state.removeprefix('END: ')}")
        time.sleep(0.1)


def list_versions(home: Path, pipeline: str) -> list[dict[str, Any]]:
    """Returns each version of a pipeline, the newest first: its labels, who published it, when, its metrics.

    `state` is its state in the server that runs on this home, such as `AVAILABLE`; empty without a server. `intervals`
    is metric -> ends of its 95 % interval, empty for versions of older releases. `canary` is
    how it ended as a canary: `outcome`, `time`, `who` and `why`; None where it was no canary, or still is one. `shown`
    are the names of the metrics of a short table, the main metric of the task first. `change` is the last change that
    gave it a role, from the audit; None without one.
    """
    folder = _versions_folder(home, pipeline)
    server = find_server(home, folder.name)
    states = served_states(server.rest, folder.name) if server else {}
    rollout, changes = rollouts.read(folder), rollouts.audit(folder)
    latest = last_version(folder)
    rows = []
    for version in reversed(versions(folder)):
        try:
            manifest = read_manifest(folder / str(version))
        except ServingError:
            manifest = {}
        stable = rollout.stable if rollout.stable is not None else latest
        labels = ["stable"] * (version == stable) + ["previous"] * (version == rollout.previous)
        if rollout.canary and rollout.canary.version == version:
            labels.append(f"canary {rollout.canary.percent:g} %")
        metrics, intervals = (
            manifest.get("evaluation", {}).get(part, {}).get(OVERALL) or {} for part in ("slices", "intervals")
        )
        role_changes = [
            change
            for change in changes
            if _role(change["after"], version) not in (None, _role(change["before"], version))
        ]
        rows.append(
            {
                "version": version,
                "labels": labels,
                "state": states.get(version, ""),
                "published": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(published_at(folder / str(version)))),
                "by": manifest.get("by", ""),
                "run": manifest.get("run", ""),
                "metrics": metrics,
                "intervals": intervals,
                "shown": shown(metrics, _compared_metrics(manifest)),
                "serving": manifest.get("serving", {}),
                "change": role_changes[-1] if role_changes else None,
                "canary": _canary_outcome(changes, version),
            }
        )
    return rows


def why_not_live(home: Path, pipeline: str) -> str:
    """Returns a sentence that the version pinned as live is gone; empty where it is not."""
    return rollouts.why_not_live(_versions_folder(home, pipeline))


def _compared_metrics(manifest: Mapping[str, Any]) -> list[str]:
    """Returns the names of the metrics by which models of a version's task are compared; empty where unknown."""
    try:
        config = registry.config_class(manifest["task"])()
        return list(config.compared(DatasetSpec.model_validate(manifest["spec"])))
    except (KeyError, ValueError):  # another release wrote it
        return []


def _canary_outcome(changes: list[dict[str, Any]], version: int) -> dict[str, Any] | None:
    """Returns how a version ended as a canary, from the audit; None where it was no canary, or still is one."""
    for change in reversed(changes):
        if _role(change["after"], version) == "canary":
            return None
        if _role(change["before"], version) == "canary":
            outcome = "promoted" if change["after"]["stable"] == version else "taken back"
            return {"outcome": outcome, **{key: change[key] for key in ("time", "who", "why")}}
    return None


def _role(live: dict[str, Any], version: int) -> str | None:
    """Returns the role of a version, `stable` or `canary`, in an entry of the audit; None when it had none."""
    if live["stable"] == version:
        return "stable"
    return "canary" if (live["canary"] or {}).get("version") == version else None


def newest(home: Path, pipeline: str) -> Path:
    """Returns the folder of a pipeline's newest version; raises ConfigError without one."""
    folder = _versions_folder(home, pipeline)
    return folder / str(last_version(folder))


def _versions_folder(home: Path, pipeline: str) -> Path:
    """Returns the folder of a pipeline's versions; raises ConfigError where nothing is published."""
    return next(iter(version_folders(home, [pipeline]).values()))
