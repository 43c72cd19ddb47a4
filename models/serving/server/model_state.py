"""The states of one model's versions: which to load next, which to unload, where labels point. Loads nothing itself."""

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
    """A version that is, or was, to be served.

    Attributes:
        path: Its folder.
        state: TF Serving's state.
        error: Why its load failed, when it did.
        servable: Itself, once it is loaded.
        wanted: Whether it is still to be served.
        attempts: Loads tried so far.
        not_before: `time.monotonic()` before which no load is tried again.
        is_loading: Whether a load is on its way, or waits for a thread.
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
        """Whether it is wanted, and its load has neither succeeded nor been given up."""
        return self.wanted and self.state in (START, LOADING)


@dataclass
class ModelState:
    """A model and its versions; whoever calls holds the manager's lock.

    Attributes:
        config: Without a base path the model has left the config, and none of its versions is wanted.
        versions: Version -> what is known of it.
        labels: Label -> version.
    """

    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def follow(self, found: Mapping[int, Path]) -> None:
        """Takes over which versions there are, and which of them the policy picks.

        Args:
            found: Version -> folder.
        """
        wanted = wanted_versions(self.config, dict(found))
        for number, version in list(self.versions.items()):
            version.wanted = number in wanted
            if number not in found and version.state == END:
                del self.versions[number]  # gone: should it come back, it is loaded anew
        for number, path in wanted.items():
            known = self.versions.get(number)
            # One that was unloaded in good order is loaded again, one that failed is not.
            if known is None or (known.state == END and known.error is None):
                self.versions[number] = Version(path)

    def leave(self) -> None:
        """Wants no version any more: the model is not in the config."""
        for version in self.versions.values():
            version.wanted = False
        self.config = ModelConfig(name=self.config.name)

    def assign_labels(self, *, early: bool) -> ServingStatus | None:
        """Points labels where the config wants them, and returns the refusal of the first that cannot be.

        Args:
            early: Whether a label may be assigned before its version is available, unless it points elsewhere yet.
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
        """Returns the version to load next, the highest whose turn has come by `now`; None where there is none."""
        for number, version in sorted(self.versions.items(), reverse=True):
            if version.is_to_load and not version.is_loading and version.not_before <= now:
                version.state, version.is_loading = LOADING, True
                return number, version
        return None

    def give_up_unwanted(self) -> None:
        """Ends loads that have not succeeded and are not wanted any more."""
        for version in self.versions.values():
            if not version.wanted and version.state in (START, LOADING) and not version.is_loading:
                version.state = END

    def start_unloading(self) -> list[Version]:
        """Returns the versions to unload: they leave once a wanted version is available, or when none is wanted."""
        wanted = [one for one in self.versions.values() if one.wanted]
        if wanted and not any(one.state == AVAILABLE for one in wanted):
            return []
        leaving = [one for _, one in sorted(self.versions.items()) if not one.wanted and one.state == AVAILABLE]
        for version in leaving:
            version.state = UNLOADING
        return leaving

    def is_settled(self) -> bool:
        """Whether there are versions, and all wanted ones are available or have failed."""
        return bool(self.versions) and all(one.state >= AVAILABLE for one in self.versions.values() if one.wanted)

    def failures(self) -> list[str]:
        """Returns what TF Serving says of each wanted version that failed, the lowest first."""
        return [
            f"{{name: {self.config.name} version: {number}}} due to error: {one.error}"
            for number, one in sorted(self.versions.items())
            if one.wanted and one.error
        ]

    def live(self, *, default_label: str = "") -> LiveModel | None:
        """Returns what requests may use; None without an available version.

        Args:
            default_label: Points to the newest version while the config has it nowhere, or at one that is not loaded.
        """
        versions = {number: one.servable for number, one in self.versions.items() if one.state == AVAILABLE}
        if not versions:
            return None
        labels = dict(self.labels)
        if default_label and labels.get(default_label) not in versions:
            labels[default_label] = max(versions)
        return LiveModel(versions, labels, versions[max(versions)])
