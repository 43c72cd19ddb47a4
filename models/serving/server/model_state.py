"""The state machine of one model's versions and labels: decides what to load and unload, and loads nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from models.serving.protocol.model_configs import ModelConfig, wanted_versions
from models.serving.protocol.statuses import Code, ServingStatus
from models.serving.server.live import LiveModel
from models.serving.server.servable import Servable

State = get_model_status_pb2.ModelVersionStatus.State
START, LOADING, AVAILABLE, UNLOADING, END = (
    State.Value(name) for name in ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
)


@dataclass
class Version:
    """The state of a version that is, or was, to be served.

    Attributes:
        path: Its folder.
        state: TF Serving's state.
        error: Why its load failed; None if it did not.
        servable: The loaded version; None before and after.
        wanted: Whether it is still to be served.
        attempts: Number of loads tried so far.
        not_before: `time.monotonic()` of the next load at the earliest.
        is_loading: Whether a load is running or waits for a thread.
    """

    path: Path
    state: int = START
    error: ServingStatus | None = None
    servable: Servable | None = None
    wanted: bool = True
    attempts: int = 0
    not_before: float = 0.0
    is_loading: bool = False

    @property
    def is_to_load(self) -> bool:
        """Whether it is wanted, and its load has neither succeeded nor failed for good."""
        return self.wanted and self.state in (START, LOADING)


@dataclass
class ModelState:
    """A model and its versions; callers hold the manager's lock.

    Attributes:
        config: Its config; without a base path the model was removed, and none of its versions is wanted.
        versions: Version -> its state.
        labels: Label -> version.
    """

    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def follow(self, paths: Mapping[int, Path]) -> None:
        """Updates the versions from those on disk and from the policy.

        Args:
            paths: Version -> folder, of all versions on disk.
        """
        wanted = wanted_versions(self.config, dict(paths))
        for number, version in list(self.versions.items()):
            version.wanted = number in wanted
            if number not in paths and version.state == END:
                del self.versions[number]  # removed from disk: if it comes back, it is loaded again
        for number, path in wanted.items():
            current = self.versions.get(number)
            # A version that was unloaded is loaded again, one that failed is not.
            if current is None or (current.state == END and current.error is None):
                self.versions[number] = Version(path)

    def leave(self) -> None:
        """Marks all versions as unwanted: the model was removed from the config."""
        for version in self.versions.values():
            version.wanted = False
        self.config = ModelConfig(name=self.config.name)

    def assign_labels(self, *, early: bool) -> ServingStatus | None:
        """Assigns the labels of the config, and returns the first refusal; None without one.

        Args:
            early: Whether a new label may be assigned before its version is available.
        """
        refusal = None
        wanted = dict(self.config.version_labels)
        self.labels = {label: number for label, number in self.labels.items() if label in wanted}
        for label, number in sorted(wanted.items()):
            version = self.versions.get(number)
            available = version is not None and version.state == AVAILABLE
            if available or (early and label not in self.labels):
                self.labels[label] = number
            elif self.labels.get(label) != number:
                refusal = refusal or ServingStatus(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {self.config.name}, which is not currently "
                    "available for inference",
                )
        return refusal

    def start_loading(self, now: float) -> tuple[int, Version] | None:
        """Returns the highest version that is due for a load at `now`, marked as loading; None if none is due."""
        for number, version in sorted(self.versions.items(), reverse=True):
            if version.is_to_load and not version.is_loading and version.not_before <= now:
                version.state, version.is_loading = LOADING, True
                return number, version
        return None

    def give_up_unwanted(self) -> None:
        """Ends versions that are not loaded and not wanted any more."""
        for version in self.versions.values():
            if not version.wanted and version.state in (START, LOADING) and not version.is_loading:
                version.state = END

    def start_unloading(self) -> list[Version]:
        """Returns the versions to unload, marked as unloading: none before a wanted version, if any, is available."""
        wanted = [version for version in self.versions.values() if version.wanted]
        if wanted and not any(version.state == AVAILABLE for version in wanted):
            return []
        unwanted = [version for _, version in sorted(self.versions.items()) if not version.wanted]
        leaving = [version for version in unwanted if version.state == AVAILABLE]
        for version in leaving:
            version.state = UNLOADING
        return leaving

    def is_settled(self) -> bool:
        """Whether there are versions, and all wanted ones are available or have failed."""
        return bool(self.versions) and all(
            version.state >= AVAILABLE for version in self.versions.values() if version.wanted
        )

    def failures(self) -> list[str]:
        """Returns TF Serving's message for each wanted version that failed, the lowest first."""
        return [
            f"{{name: {self.config.name} version: {number}}} due to error: {version.error}"
            for number, version in sorted(self.versions.items())
            if version.wanted and version.error
        ]

    def live(self, *, default_label: str = "") -> LiveModel | None:
        """Returns the versions that requests may use; None without an available version.

        Args:
            default_label: Label of the newest version, unless the config assigns it to a loaded version.
        """
        versions = {number: version.servable for number, version in self.versions.items() if version.state == AVAILABLE}
        if not versions:
            return None
        labels = dict(self.labels)
        if default_label and labels.get(default_label) not in versions:
            labels[default_label] = max(versions)
        return LiveModel(versions, labels, versions[max(versions)])
