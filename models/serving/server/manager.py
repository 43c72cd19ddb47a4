"""Which versions of which models are loaded: polling, policies, labels, loads and unloads, as in TF Serving."""

import gc
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2, model_pb2
from tensorflow_serving.config import model_server_config_pb2

from models.serving.protocol.config_files import ModelServerConfig
from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.rollout.canary import Figures
from models.serving.server.servable import Servable

logger = logging.getLogger(__name__)

State = get_model_status_pb2.ModelVersionStatus.State
START, LOADING, AVAILABLE, UNLOADING, END = (
    State.Value(name) for name in ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
)
_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")

ModelConfig = model_server_config_pb2.ModelConfig
Loader = Callable[[str, int, Path], Servable]


@dataclass
class Version:
    """A version that is, or was, to be served.

    Attributes:
        path: Its folder.
        state: TF Serving's state.
        error: What its load came to, when it failed.
        servable: Itself, once it is loaded.
        wanted: Whether it is still to be served.
        attempts: Loads tried so far.
        not_before: `time.monotonic()` before which no load is tried again.
    """

    path: Path
    state: int = START
    error: ServingStatus | None = None
    servable: Servable | None = None
    wanted: bool = True
    attempts: int = 0
    not_before: float = 0.0


@dataclass(frozen=True)
class _Live:
    """What requests may use of one model; replaced as a whole, so that it is read without a lock."""

    versions: Mapping[int, Servable]
    labels: Mapping[str, int]
    latest: Servable


@dataclass
class _Model:
    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)


class ModelManager:
    """Loads and unloads; one thread does so, any number of threads ask.

    Args:
        load: Returns a version that is ready for requests, warmed up, or raises ServingStatus.
        max_retries: How often a load that failed is tried again.
        retry_seconds: Wait in between.
        early_labels: Whether labels may be assigned before their version is available.
        on_unload: Called with each servable that was closed.
    """

    def __init__(
        self,
        load: Loader,
        *,
        max_retries: int = 5,
        retry_seconds: float = 60.0,
        early_labels: bool = False,
        on_unload: Callable[[Servable], None] | None = None,
    ):
        self._load = load
        self._on_unload = on_unload or (lambda servable: None)
        self._max_retries, self._retry_seconds, self._early_labels = max_retries, retry_seconds, early_labels
        self._models: dict[str, _Model] = {}
        self._live: dict[str, _Live] = {}
        self._said: dict[str, str] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._wake, self._stopped = threading.Event(), False
        self._thread: threading.Thread | None = None

    # --- requests

    def acquire(self, spec: model_pb2.ModelSpec) -> Servable:
        """Returns the version that a request names, counted as in use: the caller releases it.

        Raises:
            ServingStatus: There is none, in TF Serving's words.
        """
        name = spec.name
        if not name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        while True:
            live = self._live.get(name)
            if choice == "version_label":
                number = live.labels.get(spec.version_label) if live else None
                if number is None:
                    raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            else:
                number = spec.version.value if choice == "version" else None
            found = live and (live.latest if number is None else live.versions.get(number))
            if not found:
                what = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise ServingStatus(Code.NOT_FOUND, f"Servable not found for request: {what}")
            if found.acquire():
                return found

    def is_quick(self, name: str) -> bool:
        """Whether every version of a model that is live is quick to answer; so is the answer that there is none."""
        live = self._live.get(name)
        return live is None or all(one.quick for one in live.versions.values())

    def figures(self) -> dict[str, dict[int, Figures]]:
        """Returns what the last requests of each version that is live came to, by model and version."""
        return {
            name: {number: one.recent.figures() for number, one in live.versions.items()}
            for name, live in self._live.items()
        }

    def statuses(self, name: str, version: int | None) -> list[tuple[int, Version]]:
        """Returns the versions of a model that there are or were, the newest first.

        Raises:
            ServingStatus: There are none.
        """
        with self._lock:
            model = self._models.get(name)
            found = sorted(model.versions.items(), reverse=True) if model else []
        if version is not None:
            found = [(number, one) for number, one in found if number == version]
            if not found:
                raise ServingStatus(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
        if not found:
            raise ServingStatus(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return found

    # --- configuration

    def configure(self, config: ModelServerConfig) -> list[str]:
        """Replaces the set of models and returns the names of those that are new.

        Labels whose version is not available are refused, unless labels may come early; all else is done nonetheless.

        Raises:
            ServingStatus: The config cannot be used.
        """
        kind = config.WhichOneof("config")
        if kind == "custom_model_config":
            raise invalid("Custom model config is not supported.")
        models = check(config)
        with self._lock:
            for name, one in models.items():
                before = self._models.get(name)
                if before and before.config.model_platform != one.model_platform:
                    raise ServingStatus(
                        Code.FAILED_PRECONDITION,
                        f"Illegal to change a model's platform. For model {name} platform was "
                        f"{before.config.model_platform} and new platform requested is {one.model_platform}",
                    )
            # One that left the config before comes back as a new one.
            new = [name for name in models if name not in self._models or not self._models[name].config.base_path]
            for name, model in self._models.items():
                if name not in models:
                    for version in model.versions.values():
                        version.wanted = False
                    model.config = ModelConfig(name=name)  # without a path: nothing is wanted of it any more
            for name, one in models.items():
                if name in self._models:
                    self._models[name].config = one
                else:
                    self._models[name] = _Model(one)
            self._poll()
            try:
                self._assign_labels()
            finally:
                self._publish()
                self._wake.set()
        return new

    def wait_for(self, names: list[str], seconds: float | None = None) -> list[str]:
        """Waits until all wanted versions of these models are available or have failed, and returns the failures.

        A model without any version is waited for.

        Raises:
            ServingStatus: So many seconds have passed.
        """

        def done() -> bool:
            return self._stopped or all(
                name not in self._models
                or (
                    self._models[name].versions
                    and all(one.state >= AVAILABLE for one in self._models[name].versions.values() if one.wanted)
                )
                for name in names
            )

        with self._changed:
            if not self._changed.wait_for(done, seconds):
                raise ServingStatus(Code.DEADLINE_EXCEEDED, f"Not all of {', '.join(names)} became available in time.")
            return [
                f"{{name: {name} version: {number}}} due to error: {one.error}"
                for name in names
                if name in self._models
                for number, one in sorted(self._models[name].versions.items())
                if one.wanted and one.error
            ]

    def _assign_labels(self) -> None:
        """Points labels where the config wants them; raises ServingStatus for the first that cannot be."""
        wrong = None
        for name, model in self._models.items():
            wanted = dict(model.config.version_labels)
            model.labels = {label: number for label, number in model.labels.items() if label in wanted}
            for label, number in sorted(wanted.items()):
                version = model.versions.get(number)
                ready = version is not None and version.state == AVAILABLE
                if ready or (self._early_labels and label not in model.labels):
                    model.labels[label] = number
                elif model.labels.get(label) != number:
                    wrong = wrong or ServingStatus(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {name}, which is not currently "
                        "available for inference",
                    )
        if wrong:
            raise wrong

    # --- versions

    def _poll(self) -> None:
        """Looks into the folders of all models."""
        for name, model in self._models.items():
            base = model.config.base_path
            if not base:
                continue
            try:
                found = list_versions(Path(base))
            except OSError as error:
                self._say(
                    name,
                    "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
                    f"{base} for servable {name} ({error.strerror})",
                )
                continue
            wanted = _wanted(model.config, found)
            missing = [number for number in model.config.model_version_policy.specific.versions if number not in found]
            if not found:
                self._say(
                    name,
                    f"No versions of servable {name} found under base path {base}. Did you forget to name your leaf "
                    "directory as a number (eg. '/1/')?",
                )
            elif missing:
                numbers = ", ".join(map(str, missing))
                self._say(
                    name,
                    f"Version(s) {numbers} of servable {name}, which were requested to be served as specific versions, "
                    "were not found on the file system",
                )
            else:
                self._said.pop(name, None)
            for number, version in list(model.versions.items()):
                version.wanted = number in wanted
                if number not in found and version.state == END:
                    del model.versions[number]  # gone: should it come back, it is loaded anew
            for number, path in wanted.items():
                known = model.versions.get(number)
                # One that was unloaded in good order is loaded again, one that failed is not.
                if known is None or (known.state == END and known.error is None):
                    model.versions[number] = Version(path)

    def _say(self, name: str, words: str) -> None:
        """Logs what is wrong with a model's folder, once: TF Serving says it every second."""
        if self._said.get(name) != words:
            logger.warning("%s", words)
            self._said[name] = words

    def _next(self) -> tuple[str, int, Version] | None:
        """Returns the version to load next: the highest that is wanted and whose turn has come."""
        now = time.monotonic()
        for name, model in self._models.items():
            for number, version in sorted(model.versions.items(), reverse=True):
                if version.wanted and version.state in (START, LOADING) and version.not_before <= now:
                    version.state = LOADING
                    return name, number, version
        return None

    def _work(self) -> bool:
        """Does one load, or all unloads that may be; returns whether there was anything to do."""
        with self._lock:
            self._poll()
            for model in self._models.values():
                for version in model.versions.values():
                    if not version.wanted and version.state in (START, LOADING):
                        version.state = END
            task = self._next()
            if task is None:
                leaving = self._leaving()
                self._changed.notify_all()
        if task is not None:
            self._load_one(*task)
            return True
        for version in leaving:
            self._unload(version)
        return bool(leaving)

    def _load_one(self, name: str, number: int, version: Version) -> None:
        begin, servable, error = time.monotonic(), None, None
        version.attempts += 1
        try:
            servable = self._load(name, number, version.path)
        except ServingStatus as status:
            error = status
        except Exception as fault:
            logger.exception("loading version %d of %s", number, name)
            error = ServingStatus(Code.INTERNAL, f"{type(fault).__name__}: {fault}".splitlines()[0])
        with self._changed:
            if servable is not None:
                version.servable, version.state, version.error = servable, AVAILABLE, None
                logger.info(
                    "Successfully loaded servable version {name: %s version: %d} in %.1f s",
                    name,
                    number,
                    time.monotonic() - begin,
                )
                self._settle()
            else:
                version.not_before = time.monotonic() + self._retry_seconds
                logger.error("Loading servable: {name: %s version: %d} failed: %s", name, number, error)
                if version.attempts > self._max_retries:
                    version.state, version.error = END, error
            self._changed.notify_all()

    def _settle(self) -> None:
        """Lets requests use what is available, after labels that waited for it were moved."""
        try:
            self._assign_labels()
        except ServingStatus as status:
            logger.warning("%s", status)
        self._publish()

    def _leaving(self) -> list[Version]:
        """Returns versions that are not wanted any more, out of reach of new requests already.

        They leave only once a version that is wanted is available, or when none is wanted.
        """
        found = []
        for model in self._models.values():
            wanted = [one for one in model.versions.values() if one.wanted]
            if wanted and not any(one.state == AVAILABLE for one in wanted):
                continue
            for _, version in sorted(model.versions.items()):
                if not version.wanted and version.state == AVAILABLE:
                    version.state = UNLOADING
                    found.append(version)
        if found:
            self._settle()
        return found

    def _unload(self, version: Version) -> None:
        servable = version.servable
        servable.close()
        self._on_unload(servable)
        with self._changed:
            version.servable, version.state = None, END
            self._changed.notify_all()
        # A graph is full of cycles: Python would leave half a megabyte a version lying about (measured).
        del servable
        gc.collect()

    def _publish(self) -> None:
        live = {}
        for name, model in self._models.items():
            versions = {number: one.servable for number, one in model.versions.items() if one.state == AVAILABLE}
            if versions:
                live[name] = _Live(versions, dict(model.labels), versions[max(versions)])
        self._live = live

    # --- the thread

    def start(self, poll_seconds: float) -> None:
        """Starts the thread that loads, unloads, and looks for versions every `poll_seconds`; 0 once, below 0 never."""
        self._thread = threading.Thread(target=self._run, args=(poll_seconds,), name="model-manager", daemon=True)
        self._thread.start()

    def _run(self, poll_seconds: float) -> None:
        while not self._stopped:
            try:
                if self._work():
                    continue
            except Exception:
                logger.exception("in the thread that loads models")
            pending = self._pending_seconds()
            idle = poll_seconds if poll_seconds > 0 else None
            self._wake.wait(min((one for one in (pending, idle) if one is not None), default=None))
            self._wake.clear()

    def _pending_seconds(self) -> float | None:
        """Returns how long until a load is tried again; None when none is to be."""
        now = time.monotonic()
        with self._lock:
            times = [
                max(one.not_before - now, 0.01)
                for model in self._models.values()
                for one in model.versions.values()
                if one.wanted and one.state in (START, LOADING)
            ]
        return min(times, default=None)

    def stop(self) -> None:
        """Ends the thread and frees all versions once their requests are answered."""
        self._stopped = True
        self._wake.set()
        if self._thread:
            self._thread.join()
        with self._changed:
            self._live = {}
            self._changed.notify_all()
            leaving = [one for model in self._models.values() for one in model.versions.values() if one.servable]
        for version in leaving:
            self._unload(version)


@dataclass(frozen=True)
class OneVersion:
    """What an engine sees of the models while one version warms up: every request is for it.

    Attributes:
        name: The model's name.
        servable: The version.
    """

    name: str
    servable: Servable

    def acquire(self, spec: model_pb2.ModelSpec) -> Servable:
        """Returns the version, counted as in use."""
        self.servable.acquire()
        return self.servable


def check(config: ModelServerConfig) -> dict[str, ModelConfig]:
    """Returns the models of a config by name; raises ServingStatus in TF Serving's words."""
    models: dict[str, ModelConfig] = {}
    for one in config.model_config_list.config:
        if one.name in models:
            raise invalid(f"Illegal to list model {one.name} multiple times in config list")
        if not (os.path.isabs(one.base_path) or _SCHEME.match(one.base_path)):
            raise invalid(f"Expected model {one.name} to have an absolute path or URI; got base_path()={one.base_path}")
        models[one.name] = one
    return models


def list_versions(base: Path) -> dict[int, Path]:
    """Returns the children of a folder whose name is a number, by number; raises OSError when it cannot be read."""
    found: dict[int, Path] = {}
    for name in sorted(os.listdir(base)):
        if _NUMBER.fullmatch(name):
            number = int(name)
            if number in found:
                logger.warning(
                    "Duplicate version directories detected. Version %d will be loaded from %s, and %s will be ignored",
                    number,
                    base / name,
                    found[number],
                )
            found[number] = base / name
    return found


def _wanted(config: ModelConfig, found: dict[int, Path]) -> dict[int, Path]:
    """Returns the versions that a model's policy picks."""
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return dict(found)
    if kind == "specific":
        return {number: found[number] for number in policy.specific.versions if number in found}
    count = policy.latest.num_versions or 1
    return {number: found[number] for number in sorted(found)[-count:]}
