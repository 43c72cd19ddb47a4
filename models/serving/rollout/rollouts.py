"""Which version of a pipeline is live: promote, rollback, canary. One file decides, and TF Serving reads it too.

`serving/<pipeline>/models.config` is a ModelServerConfig as text. What TF Serving has no field for, such as a canary's
share, stands in a comment on its first line, so that every change is one atomic replacement of one file.
"""

import contextlib
import dataclasses
import fcntl
import getpass
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.files import atomic
from models.serving.rollout.inputs import changed_inputs
from models.serving.rollout.versions import versions

CONFIG = "models.config"
AUDIT = "rollout.jsonl"
LOCK = ".rollout.lock"
_HEAD = "# headrace: "


@dataclass(frozen=True)
class Canary:
    """A version that gets a share of the requests, and is promoted or rolled back by their outcome.

    Attributes:
        version: Its number.
        percent: Its share of the requests, above 0 and up to 100.
        max_error_rate: Share of its requests that may fail, from 0 to 1.
        p95_ms: Milliseconds that 95 % of its requests must not exceed; None: any.
        promote_after_s: Seconds after which it is promoted if it has kept its budget; None: a person decides.
        since: When it began, seconds since 1970.
    """

    version: int
    percent: float
    max_error_rate: float = 0.01
    p95_ms: float | None = None
    promote_after_s: float | None = None
    since: float = 0.0


@dataclass(frozen=True)
class Rollout:
    """The live version of a pipeline, and its canary.

    Attributes:
        stable: The promoted version; None: always the newest.
        previous: The version promoted before; it stays loaded, so that a rollback takes no time.
        canary: The canary, or None.
    """

    stable: int | None = None
    previous: int | None = None
    canary: Canary | None = None

    def kept(self) -> set[int]:
        """Returns the versions that must not be removed."""
        canary = self.canary.version if self.canary else None
        return {version for version in (self.stable, self.previous, canary) if version is not None}


def read(destination: Path) -> Rollout:
    """Returns the rollout of the pipeline whose versions are in `destination`.

    Raises:
        ConfigError: The file was edited by hand and cannot be read.
    """
    try:
        head = (destination / CONFIG).read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return Rollout()
    try:
        values = json.loads(head.removeprefix(_HEAD))
        canary = values.pop("canary")
        return Rollout(**values, canary=Canary(**canary) if canary else None)
    except (ValueError, TypeError, KeyError):
        raise ConfigError(
            f"{destination / CONFIG}:1 does not begin as Headrace writes it; remove the file to serve the newest."
        ) from None


def live_version(destination: Path) -> int | None:
    """Returns the version for requests without a version: the promoted one, else the newest; None without any.

    Raises:
        ConfigError: The promoted version was removed, or the file was edited by hand and cannot be read.
    """
    if reason := why_not_live(destination):
        raise ConfigError(reason)
    stable = read(destination).stable
    return _newest(destination) if stable is None else stable


def why_not_live(destination: Path) -> str:
    """Returns a sentence with the fix if the promoted version was removed; empty if it was not.

    Raises:
        ConfigError: The file was edited by hand and cannot be read.
    """
    stable, name = read(destination).stable, destination.name
    if stable is None or stable in versions(destination):
        return ""
    return (
        f"Version {stable} of {name}, which is pinned as the live one, is gone from {destination}; make another one "
        f"live with `headrace promote {name} VERSION`, or the newest with `headrace promote {name} latest`."
    )


def ensure(destination: Path) -> Path:
    """Returns the model config file of a pipeline, written for the newest version when there is none yet.

    Of a home that has moved, or is a copy, it is written anew: it names the folder of the versions.
    """
    file = destination / CONFIG
    with _locked(destination):
        rollout = read(destination)
        if not file.exists() or file.read_text(encoding="utf-8") != _text(destination, rollout):
            _replace(destination, rollout)
    return file


def promote(destination: Path, version: int | None, why: str = "") -> Rollout:
    """Makes a version the one that is live; None: the newest, and every newer one as soon as it is published.

    Raises:
        ConfigError: There is no such version.
    """
    with _locked(destination):
        before = read(destination)
        if version is not None:
            _check(destination, version)
        return _change(destination, "promote", before, _promoted(destination, before, version), why)


def _promoted(destination: Path, before: Rollout, version: int | None) -> Rollout:
    current = before.stable if before.stable is not None else _newest(destination)
    # A version that unlabelled requests would take for the newest must not stay loaded.
    previous = current if version is not None and current is not None and current < version else None
    return Rollout(version, previous)


def rollback(destination: Path, why: str = "") -> Rollout:
    """Ends the canary, or without one makes the previous version live; returns the new rollout.

    Raises:
        ConfigError: There is no previous version.
    """
    with _locked(destination):
        before = read(destination)
        if before.canary:
            after = dataclasses.replace(before, canary=None)
        else:
            current = before.stable if before.stable is not None else _newest(destination)
            target = before.previous if before.previous is not None else _earlier(destination, current)
            if target is None:
                raise ConfigError(
                    f"{destination.name} has no version before {current}; there is nothing to go back to."
                )
            after = Rollout(target)
        return _change(destination, "rollback", before, after, why)


def start_canary(destination: Path, canary: Canary, why: str = "") -> Rollout:
    """Starts a canary, which gets a share of the requests beside the live version, and returns the new rollout.

    Raises:
        ConfigError: There is no such version, it is live already, or its inputs differ from those of the live one.
    """
    with _locked(destination):
        before = read(destination)
        _check(destination, canary.version)
        stable = before.stable if before.stable in versions(destination) else None
        if stable is None:
            # The live version until now: the newest without the canary.
            stable = max((number for number in versions(destination) if number != canary.version), default=None)
        if stable is None or stable == canary.version:
            raise ConfigError(
                f"Version {canary.version} is what {destination.name} serves already; a canary needs a second version."
            )
        changed = changed_inputs(destination, stable, canary.version)
        if changed:
            raise ConfigError(
                f"Version {canary.version} of {destination.name} cannot be a canary beside version {stable}: no "
                f"request suits both ({changed}); promote it when its clients have changed."
            )
        after = Rollout(stable, before.previous, dataclasses.replace(canary, since=time.time()))
        return _change(destination, "canary", before, after, why)


def take_back(destination: Path, version: int, why: str) -> bool:
    """Ends the canary of a version; returns False, without a change, if it is no canary any more."""
    return _end_canary(destination, version, "rollback", lambda before: dataclasses.replace(before, canary=None), why)


def promote_canary(destination: Path, version: int, why: str) -> bool:
    """Makes the canary of a version live; returns False, without a change, if it is no canary any more."""
    return _end_canary(destination, version, "promote", lambda before: _promoted(destination, before, version), why)


def _end_canary(destination: Path, version: int, what: str, change: Callable[[Rollout], Rollout], why: str) -> bool:
    with _locked(destination):
        before = read(destination)
        if before.canary is None or before.canary.version != version:
            return False
        _change(destination, what, before, change(before), why)
        return True


def audit(destination: Path) -> list[dict[str, Any]]:
    """Returns all changes, the oldest first, each with `time`, `who`, `what`, `why`, `before` and `after`."""
    try:
        with (destination / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)  # wait for a change in progress, which writes its line last
            return [json.loads(line) for line in (destination / AUDIT).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def config_text(name: str, base_path: Path, rollout: Rollout) -> str:
    """Returns the model config file of one model, with its versions in `base_path`, a folder of the same name."""
    head = {"stable": rollout.stable, "previous": rollout.previous, "canary": None}
    if rollout.canary:
        head["canary"] = dataclasses.asdict(rollout.canary)
    return f"{_HEAD}{json.dumps(head)}\n{config_list({name: rollout}, base_path.parent)}"


def config_list(rollouts: Mapping[str, Rollout], serving: Path) -> str:
    """Returns the `model_config_list` of models; the versions of each are in the folder `serving/<name>`."""
    lines = [line for name, rollout in rollouts.items() for line in _entry(name, serving / name, rollout)]
    return "\n".join(["model_config_list {", *lines, "}"]) + "\n"


def _entry(name: str, base_path: Path, rollout: Rollout) -> list[str]:
    path = str(base_path).replace("\\", "\\\\").replace('"', '\\"')  # escaped for the text format
    lines = ["  config {", f'    name: "{name}"', f'    base_path: "{path}"', '    model_platform: "tensorflow"']
    if rollout.stable is not None:
        numbers = "".join(f" versions: {version}" for version in sorted(rollout.kept()))
        lines.append(f"    model_version_policy {{ specific {{{numbers} }} }}")
        labels = {"stable": rollout.stable, **({"canary": rollout.canary.version} if rollout.canary else {})}
        lines += [f'    version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items()]
    return [*lines, "  }"]


def _change(destination: Path, what: str, before: Rollout, after: Rollout, why: str) -> Rollout:
    _replace(destination, after)
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "who": getpass.getuser(),
        "what": what,
        "why": why,
        "before": dataclasses.asdict(before),
        "after": dataclasses.asdict(after),
    }
    with (destination / AUDIT).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return after


def _text(destination: Path, rollout: Rollout) -> str:
    return config_text(destination.name, destination.resolve(), rollout)


def _replace(destination: Path, rollout: Rollout) -> None:
    # Users who can read the folder of versions can also read which one is live.
    atomic.write(
        destination / CONFIG, _text(destination, rollout), mode=0o600 | (destination.stat().st_mode & 0o444), flush=True
    )


@contextlib.contextmanager
def _locked(destination: Path) -> Iterator[None]:
    destination.mkdir(parents=True, exist_ok=True)
    with (destination / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check(destination: Path, version: int) -> None:
    published = versions(destination)
    if version not in published:
        listed = ", ".join(map(str, published)) or "none"
        raise ConfigError(f"{destination.name} has no version {version}; published are {listed}.")


def _newest(destination: Path) -> int | None:
    return max(versions(destination), default=None)


def _earlier(destination: Path, version: int | None) -> int | None:
    return max((number for number in versions(destination) if version is not None and number < version), default=None)
