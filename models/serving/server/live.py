"""Which version answers a request: looked up without a lock, since every request does."""

from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_serving.apis import model_pb2

from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.rollout.canary import Figures
from models.serving.server.servable import Servable


@dataclass(frozen=True)
class LiveModel:
    """What requests may use of one model.

    Attributes:
        versions: Version -> servable.
        labels: Label -> version.
        latest: The servable of the highest version.
    """

    versions: Mapping[int, Servable]
    labels: Mapping[str, int]
    latest: Servable


class LiveModels:
    """The models that requests may use, by name; any number of threads ask."""

    def __init__(self) -> None:
        self._live: Mapping[str, LiveModel] = {}

    def publish(self, live: Mapping[str, LiveModel]) -> None:
        """Replaces all models at once."""
        self._live = live

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

    def acquire_another(self, servable: Servable) -> Servable | None:
        """Returns another live version of the same model, the one labelled stable rather than any, counted as in use.

        None where there is none.
        """
        live = self._live.get(servable.name)
        if live is None:
            return None
        stable = live.versions.get(live.labels.get("stable", -1))
        for other in (stable, live.latest, *live.versions.values()):
            if other is not None and other is not servable and other.acquire():
                return other
        return None

    def is_quick(self, name: str) -> bool:
        """Whether every version of a model that is live is quick to answer; so is the answer that there is none."""
        live = self._live.get(name)
        return live is None or all(one.quick for one in live.versions.values())

    def figures(self) -> dict[str, dict[int, Figures]]:
        """Returns errors and latency of the last requests of each version that is live, by model and version."""
        return {
            name: {number: one.recent.figures() for number, one in live.versions.items()}
            for name, live in self._live.items()
        }


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

    def acquire_another(self, servable: Servable) -> None:
        """Returns None: there is no other."""
