"""Loads and unloads versions of models as their config and folders say: polling and retries, as in TF Serving."""

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
_Listed = tuple[str, dict[int, Path] | OSError]  # a model's base path, and its versions or why they are not known


def _list_all(configs: Mapping[str, ModelConfig]) -> dict[str, _Listed]:
    """Returns what there is in the folder of each model."""
    found: dict[str, _Listed] = {}
    for name, config in configs.items():
        try:
            found[name] = config.base_path, list_versions(Path(config.base_path))
        except OSError as error:
            found[name] = config.base_path, error
    return found


class ModelManager(LiveModels):
    """The live models, kept up to date: a thread sees what is to do, others load and unload, any number of threads ask.

    Args:
        load: Returns a version that is ready for requests, warmed up, or raises ServingStatus.
        max_retries: How often a load that failed is tried again.
        retry_seconds: Wait in between.
        early_labels: Whether labels may be assigned before their version is available.
        on_unload: Called with each servable that was closed.
        num_load_threads: Loads at a time; 0: as many as there are cores.
        default_label: Points to a model's newest version while its config does not say otherwise; empty: none does.
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
        configs = models_of(config)
        listed = _list_all(configs)  # not under the lock: a disk may be slow, and requests for statuses wait for it
        with self._lock:
            self._refuse_another_platform(configs)
            # One that left the config before comes back as a new one.
            new = [name for name in configs if name not in self._models or not self._models[name].config.base_path]
            for name, model in self._models.items():
                if name not in configs:
                    model.leave()
            for name, one in configs.items():
                self._models.setdefault(name, ModelState(one)).config = one
            self._follow(listed)
            try:
                self._assign_labels()
            finally:
                self._publish_available()
                self._wake.set()
        return new

    def _refuse_another_platform(self, configs: Mapping[str, ModelConfig]) -> None:
        for name, one in configs.items():
            before = self._models.get(name)
            if before and before.config.model_platform != one.model_platform:
                raise ServingStatus(
                    Code.FAILED_PRECONDITION,
                    f"Illegal to change a model's platform. For model {name} platform was "
                    f"{before.config.model_platform} and new platform requested is {one.model_platform}",
                )

    def wait_for(self, names: list[str], seconds: float | None = None) -> list[str]:
        """Waits until all wanted versions of these models are available or have failed, and returns the failures.

        A model without any version is waited for.

        Raises:
            ServingStatus: So many seconds have passed.
        """

        def known() -> list[ModelState]:
            return [self._models[name] for name in names if name in self._models]

        with self._changed:
            if not self._changed.wait_for(lambda: self._stopped or all(one.is_settled() for one in known()), seconds):
                raise ServingStatus(Code.DEADLINE_EXCEEDED, f"Not all of {', '.join(names)} became available in time.")
            return [failure for model in known() for failure in model.failures()]

    def _assign_labels(self) -> None:
        """Points labels where the config wants them; raises ServingStatus for the first that cannot be."""
        refusals = [model.assign_labels(early=self._early_labels) for model in self._models.values()]
        for refusal in filter(None, refusals):
            raise refusal

    # --- versions

    def _follow(self, listed: Mapping[str, _Listed]) -> None:
        """Takes over which versions there are.

        Args:
            listed: What `_list_all` has found; models of whose folder it knows nothing are left alone.
        """
        for name, (base, found) in listed.items():
            model = self._models.get(name)
            if model is None or model.config.base_path != base:
                continue
            if isinstance(found, OSError):
                self._warn(
                    name,
                    "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
                    f"{base} for servable {name} ({found.strerror})",
                )
                continue
            self._warn(name, missing_versions(model.config, found))
            model.follow(found)

    def _warn(self, name: str, warning: str | None) -> None:
        """Logs what is wrong with a model's folder, once: TF Serving says it every second."""
        if warning is None:
            self._warned.pop(name, None)
        elif self._warned.get(name) != warning:
            logger.warning("%s", warning)
            self._warned[name] = warning

    def _start_loading(self, now: float) -> Iterator[tuple[str, int, Version]]:
        """Yields model, number and version of each load that is due by `now`, of each model the highest first."""
        for name, model in self._models.items():
            while found := model.start_loading(now):
                yield name, *found

    def _work(self) -> None:
        """Looks at the folders, and begins the loads and unloads that are due, each in a thread of its own.

        An unload waits for the requests on its way, a load for the disk and the warm-up: none waits for another.
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
                self._settle()  # out of reach of new requests, before they are closed
            self._changed.notify_all()
        for task in loads:
            self._loads.submit(self._load_one, *task)
        for version in leaving:
            thread = threading.Thread(target=self._unload, args=(version,), name="unload", daemon=True)
            self._unloads = {one for one in self._unloads if one.is_alive()} | {thread}
            thread.start()

    def _load_one(self, name: str, number: int, version: Version) -> None:
        begin, servable, error = time.monotonic(), None, None
        try:
            if version.wanted and not self._stopped:
                version.attempts += 1
                servable = self._load(name, number, version.path)
        except ServingStatus as status:
            error = status
        except Exception as fault:
            logger.exception("loading version %d of %s", number, name)
            error = ServingStatus(Code.INTERNAL, f"{type(fault).__name__}: {fault}".splitlines()[0])
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
        """Lets requests use what is available, after labels that waited for it were moved."""
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
        # A graph is full of cycles: Python would leave half a megabyte a version lying about (measured).
        del servable
        gc.collect()

    def _publish_available(self) -> None:
        live = {name: model.live(default_label=self._default_label) for name, model in self._models.items()}
        self.publish({name: one for name, one in live.items() if one})

    # --- the thread

    def start(self, poll_seconds: float) -> None:
        """Starts the thread, which looks for versions every `poll_seconds`; 0: once, below 0: never."""
        self._thread = threading.Thread(target=self._run, args=(poll_seconds,), name="model-manager", daemon=True)
        self._thread.start()

    def _run(self, poll_seconds: float) -> None:
        while not self._stopped:
            try:
                self._work()
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
                max(version.not_before - now, 0.01)
                for model in self._models.values()
                for version in model.versions.values()
                if version.is_to_load and not version.is_loading
            ]
        return min(times, default=None)

    def stop(self) -> None:
        """Ends the thread and frees all versions once their requests are answered."""
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
            leaving = [one for model in self._models.values() for one in model.versions.values() if one.servable]
        for version in leaving:
            self._unload(version)
