"""Loads and unloads versions of models by their config and folders, with polling and retries as in TF Serving."""

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.serving.protocol.config_files import ModelServerConfig
from models.serving.protocol.model_configs import ModelConfig, list_versions, missing_versions, models_of
from models.serving.protocol.statuses import Code, ServingStatus
from models.serving.server.live import LiveModels
from models.serving.server.model_state import AVAILABLE, END, ModelState, Version
from models.serving.server.servable import Servable

logger = logging.getLogger(__name__)

Loader = Callable[[str, int, Path], Servable]
_Listed = tuple[str, dict[int, Path] | OSError]  # base path of a model, and its versions or the error of listing them


def _list_all(configs: Mapping[str, ModelConfig]) -> dict[str, _Listed]:
    """Returns the base path of each model, and the versions in it or the error of listing them."""
    listed: dict[str, _Listed] = {}
    for name, config in configs.items():
        try:
            listed[name] = config.base_path, list_versions(Path(config.base_path))
        except OSError as error:
            listed[name] = config.base_path, error
    return listed


class ModelManager(LiveModels):
    """Keeps the live models up to date: one thread plans, others load and unload; any thread may look versions up.

    Args:
        load: Returns a version that is ready for requests, warmed up, or raises ServingStatus.
        max_retries: How often a load that failed is tried again.
        retry_seconds: Seconds between two tries.
        early_labels: Whether a label may be assigned before its version is available.
        on_unload: Called with each servable that was closed.
        num_load_threads: Number of concurrent loads; 0: the number of cores.
        default_label: Label of a model's newest version unless its config assigns that label; empty: no such label.
    """

    def __init__(
        self,
        load: Loader,
        *,
        max_retries: int = 5,
        retry_seconds: float = 60.0,
        early_labels: bool = False,
        on_unload: Callable[[Servable], None] | None = None,
        num_load_threads: int = 0,
        default_label: str = "",
    ):
        super().__init__()
        self._load = load
        self._on_unload = on_unload or (lambda servable: None)
        self._max_retries, self._retry_seconds, self._early_labels = max_retries, retry_seconds, early_labels
        self._default_label = default_label
        self._models: dict[str, ModelState] = {}
        self._warned: dict[str, str] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._wake, self._stopped = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._loads = ThreadPoolExecutor(num_load_threads or os.cpu_count() or 1, "load")
        self._unloads: set[threading.Thread] = set()

    def statuses(self, name: str, version: int | None) -> list[tuple[int, Version]]:
        """Returns the present and former versions of a model, the newest first.

        Raises:
            ServingStatus: The model has no version, or not this one.
        """
        with self._lock:
            model = self._models.get(name)
            versions = sorted(model.versions.items(), reverse=True) if model else []
        if version is not None:
            versions = [(number, state) for number, state in versions if number == version]
            if not versions:
                raise ServingStatus(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
        if not versions:
            raise ServingStatus(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return versions

    # --- configuration

    def configure(self, config: ModelServerConfig) -> list[str]:
        """Replaces the set of models and returns the names of the new ones.

        A label whose version is not available is refused, unless `early_labels`; all other changes are made anyway.

        Raises:
            ServingStatus: The config is invalid, or a label was refused.
        """
        configs = models_of(config)
        listed = _list_all(configs)  # not under the lock: a disk may be slow, and requests for statuses wait for it
        with self._lock:
            self._refuse_another_platform(configs)
            # A model that was removed from the config and comes back counts as new.
            new = [name for name in configs if name not in self._models or not self._models[name].config.base_path]
            for name, model in self._models.items():
                if name not in configs:
                    model.leave()
            for name, model_config in configs.items():
                self._models.setdefault(name, ModelState(model_config)).config = model_config
            self._follow(listed)
            try:
                self._assign_labels()
            finally:
                self._publish_available()
                self._wake.set()
        return new

    def _refuse_another_platform(self, configs: Mapping[str, ModelConfig]) -> None:
        for name, model_config in configs.items():
            before = self._models.get(name)
            if before and before.config.model_platform != model_config.model_platform:
                raise ServingStatus(
                    Code.FAILED_PRECONDITION,
                    f"Illegal to change a model's platform. For model {name} platform was "
                    f"{before.config.model_platform} and new platform requested is {model_config.model_platform}",
                )

    def wait_for(self, names: list[str], seconds: float | None = None) -> list[str]:
        """Waits until all wanted versions of these models are available or have failed, and returns the failures.

        A model without any version is waited for.

        Args:
            names: Names of the models.
            seconds: Timeout; None: no limit.

        Raises:
            ServingStatus: The timeout has passed.
        """

        def models() -> list[ModelState]:
            return [self._models[name] for name in names if name in self._models]

        with self._changed:
            if not self._changed.wait_for(
                lambda: self._stopped or all(model.is_settled() for model in models()), seconds
            ):
                raise ServingStatus(Code.DEADLINE_EXCEEDED, f"Not all of {', '.join(names)} became available in time.")
            return [failure for model in models() for failure in model.failures()]

    def _assign_labels(self) -> None:
        """Assigns the labels of the config; raises ServingStatus for the first that is refused."""
        refusals = [model.assign_labels(early=self._early_labels) for model in self._models.values()]
        for refusal in filter(None, refusals):
            raise refusal

    # --- versions

    def _follow(self, listed: Mapping[str, _Listed]) -> None:
        """Updates the versions of each model from its folder.

        Args:
            listed: As `_list_all` returns it; models that are not in it stay as they are.
        """
        for name, (base_path, paths) in listed.items():
            model = self._models.get(name)
            if model is None or model.config.base_path != base_path:
                continue
            if isinstance(paths, OSError):
                self._warn(
                    name,
                    "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
                    f"{base_path} for servable {name} ({paths.strerror})",
                )
                continue
            self._warn(name, missing_versions(model.config, paths))
            model.follow(paths)

    def _warn(self, name: str, warning: str | None) -> None:
        """Logs a warning about a model's folder once, where TF Serving repeats it every second."""
        if warning is None:
            self._warned.pop(name, None)
        elif self._warned.get(name) != warning:
            logger.warning("%s", warning)
            self._warned[name] = warning

    def _start_loading(self, now: float) -> Iterator[tuple[str, int, Version]]:
        """Yields model, number and version of each load that is due by `now`, of each model the highest first."""
        for name, model in self._models.items():
            while numbered_version := model.start_loading(now):
                yield name, *numbered_version

    def _work(self) -> None:
        """Reads the folders, and starts the loads and unloads that are due, each in its own thread.

        An unload waits for running requests, a load for the disk and the warm-up; none waits for another.
        """
        with self._lock:
            configs = {name: model.config for name, model in self._models.items() if model.config.base_path}
        listed = _list_all(configs)
        with self._lock:
            self._follow(listed)
            for model in self._models.values():
                model.give_up_unwanted()
            loads = list(self._start_loading(time.monotonic()))
            leaving = [version for model in self._models.values() for version in model.start_unloading()]
            if leaving:
                self._settle()  # new requests must not get them any more when they are closed
            self._changed.notify_all()
        for task in loads:
            self._loads.submit(self._load_one, *task)
        for version in leaving:
            thread = threading.Thread(target=self._unload, args=(version,), name="unload", daemon=True)
            self._unloads = {other for other in self._unloads if other.is_alive()} | {thread}
            thread.start()

    def _load_one(self, name: str, number: int, version: Version) -> None:
        begin, servable, error = time.monotonic(), None, None
        try:
            if version.wanted and not self._stopped:
                version.attempts += 1
                servable = self._load(name, number, version.path)
        except ServingStatus as status:
            error = status
        except Exception as exception:
            logger.exception("error while loading version %d of %s", number, name)
            error = ServingStatus(Code.INTERNAL, f"{type(exception).__name__}: {exception}".splitlines()[0])
        with self._changed:
            version.is_loading = False
            is_wanted = version.wanted
            if servable is not None and not is_wanted:  # no request must get it
                version.state = END
            elif servable is not None:
                version.servable, version.state, version.error = servable, AVAILABLE, None
                logger.info(
                    "Successfully loaded servable version {name: %s version: %d} in %.1f s",
                    name,
                    number,
                    time.monotonic() - begin,
                )
                self._settle()
            elif error is not None:
                version.not_before = time.monotonic() + self._retry_seconds
                logger.error("Loading servable: {name: %s version: %d} failed: %s", name, number, error)
                if version.attempts > self._max_retries:
                    version.state, version.error = END, error
            self._changed.notify_all()
        if servable is not None and not is_wanted:
            servable.close()
            self._on_unload(servable)
        self._wake.set()

    def _settle(self) -> None:
        """Assigns labels that waited for a version, and publishes the available versions."""
        try:
            self._assign_labels()
        except ServingStatus as status:
            logger.warning("%s", status)
        self._publish_available()

    def _unload(self, version: Version) -> None:
        servable = version.servable
        servable.close()
        self._on_unload(servable)
        with self._changed:
            version.servable, version.state = None, END
            self._changed.notify_all()
        self._wake.set()
        # A graph has reference cycles: without a collection half a megabyte a version stays allocated (measured).
        del servable
        gc.collect()

    def _publish_available(self) -> None:
        live = {name: model.live(default_label=self._default_label) for name, model in self._models.items()}
        self.publish({name: model for name, model in live.items() if model})

    # --- the thread

    def start(self, poll_seconds: float) -> None:
        """Starts the thread, which reads the folders every `poll_seconds`; 0: once, below 0: never."""
        self._thread = threading.Thread(target=self._run, args=(poll_seconds,), name="model-manager", daemon=True)
        self._thread.start()

    def _run(self, poll_seconds: float) -> None:
        while not self._stopped:
            try:
                self._work()
            except Exception:
                logger.exception("error in the thread that loads models")
            pending = self._pending_seconds()
            idle = poll_seconds if poll_seconds > 0 else None
            self._wake.wait(min((seconds for seconds in (pending, idle) if seconds is not None), default=None))
            self._wake.clear()

    def _pending_seconds(self) -> float | None:
        """Returns the seconds until the next retry of a load; None if none is pending."""
        now = time.monotonic()
        with self._lock:
            times = [
                max(version.not_before - now, 0.01)
                for model in self._models.values()
                for version in model.versions.values()
                if version.is_to_load and not version.is_loading
            ]
        return min(times, default=None)

    def stop(self) -> None:
        """Stops the thread and closes all versions once their requests are answered."""
        self._stopped = True
        self._wake.set()
        if self._thread:
            self._thread.join()
        self._loads.shutdown()
        for thread in self._unloads:
            thread.join()
        with self._changed:
            self.publish({})
            self._changed.notify_all()
            leaving = [
                version for model in self._models.values() for version in model.versions.values() if version.servable
            ]
        for version in leaving:
            self._unload(version)
