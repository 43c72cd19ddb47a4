"""The live versions, and which of them answers a request. Lookups take no lock, since every request makes one."""

from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_serving.apis import model_pb2

from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.rollout.canary import Figures
from models.serving.server.servable import Servable


@dataclass(frozen=True)
class LiveModel:
    """The versions of one model that requests may use.

    Attributes:
        versions: Version -> servable.
        labels: Label -> version.
        latest: The servable of the highest version.
    """

    versions: Mapping[int, Servable]
    labels: Mapping[str, int]
    latest: Servable


class LiveModels:
    """The models that requests may use, by name; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._live: Mapping[str, LiveModel] = {}

    def publish(self, live: Mapping[str, LiveModel]) -> None:
        """Replaces all models at once."""
        self._live = live

    def acquire(self, spec: model_pb2.ModelSpec) -> Servable:
        """Returns the version that a request names, marked as in use: the caller must release it.

        Raises:
            ServingStatus: There is no such version; the message is TF Serving's.
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
            servable = live and (live.latest if number is None else live.versions.get(number))
            if not servable:
                requested = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise ServingStatus(Code.NOT_FOUND, f"Servable not found for request: {requested}")
            if servable.acquire():
                return servable

    def acquire_another(self, servable: Servable) -> Servable | None:
        """Returns another live version of the same model, marked as in use, preferably the one labelled `stable`.

        None if there is no other.
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
        """Whether every live version of a model is quick; True also for an unknown model."""
        live = self._live.get(name)
        return live is None or all(servable.quick for servable in live.versions.values())

    def figures(self) -> dict[str, dict[int, Figures]]:
        """Returns statistics of the last requests of each live version, by model and version."""
        return {
            name: {number: servable.recent.figures() for number, servable in live.versions.items()}
            for name, live in self._live.items()
        }


@dataclass(frozen=True)
class OneVersion:
    """Stands in for the model manager while a version warms up: every request gets this version.

    Attributes:
        name: The model's name.
        servable: The version.
    """

    name: str
    servable: Servable

    def acquire(self, spec: model_pb2.ModelSpec) -> Servable:
        """Returns the version, marked as in use."""
        self.servable.acquire()
        return self.servable

    def acquire_another(self, servable: Servable) -> None:
        """Returns None: there is no other version."""
