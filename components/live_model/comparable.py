"""The live version of a pipeline, and whether a candidate can be compared with it. Loads no TensorFlow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.columnar.splitting import agree
from data.errors import ServingError
from data.spec import Dataset, DatasetSpec, DateFeature, Feature, ImageFeature, LabelFeature
from models.serving.rollout.rollouts import live_version
from models.serving.rollout.versions import read_manifest

REMEDY = "publish under another name, or go on without the comparison: --set evaluate.against_live=never"


@dataclass(frozen=True)
class LiveModel:
    """The version of a pipeline that is live.

    Attributes:
        version: Its number.
        folder: Of its SavedModel.
        manifest: What was written about it when it was published.
    """

    version: int
    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, destination: Path) -> "LiveModel | None":
        """Returns the live version below a pipeline's folder of versions; None where nothing is published.

        Raises:
            ConfigError: It is pinned, and gone.
            ServingError: It was not published by Headrace.
        """
        version = live_version(destination)
        if version is None:
            return None
        folder = destination / str(version)
        return cls(version, folder, read_manifest(folder))

    @property
    def spec(self) -> DatasetSpec:
        """The facts of the data that it was trained on.

        Raises:
            ServingError: They cannot be read: another release wrote them.
        """
        try:
            return DatasetSpec.model_validate(self.manifest["spec"])
        except (KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ServingError(
                f"What version {self.version}, which is live, was trained on cannot be read ({reason}); {REMEDY}."
            ) from error

    def inputs(self) -> dict[str, Feature]:
        """Returns the features that it takes, by name."""
        return {name: feature for name, feature in self.spec.features.items() if not feature.target}

    def was_tested_on(self, digest: str) -> bool:
        """Whether the test split of this digest is the one that it was tested on: no row of it was trained on.

        An older release, whose manifest has no rule of the splits, wrote the digest already.
        """
        return self.manifest.get("evaluation", {}).get("data_digest") == digest

    def has_rule(self, rule: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
        """Whether its rows were split by this rule, so that no test row of today was a training row of its.

        By time only where all test rows of today are newer than what it was trained on. In a class that is stratified
        some rows may have moved, which is accepted: they are few.
        """
        if not agree(self.manifest.get("split", {}), rule):
            return False
        if "time" not in plan:
            return True
        trained_until = self.manifest.get("split_plan", {}).get("time", {}).get("starts", {}).get("validation")
        return trained_until is not None and plan["time"]["starts"]["test"] >= trained_until


def obstacle(live: LiveModel, task: str, dataset: Dataset, *, compared: bool) -> str:
    """Returns why a candidate cannot be compared with the live version, in one sentence; empty where it can.

    Args:
        live: The live version.
        task: The candidate's.
        dataset: The candidate's data.
        compared: Whether anything of the two is compared; where nothing is, the live version is asked nothing.
    """
    version, spec = f"version {live.version}, which is live,", dataset.spec
    if live.manifest.get("task") != task:
        return f"{version} is of task {live.manifest.get('task')}, this one of {task}; {REMEDY}."
    if live.spec.targets() != spec.targets():
        names = [", ".join(facts.targets()) for facts in (live.spec, spec)]
        return f"{version} predicts {names[0]}, this one {names[1]}; {REMEDY}."
    live_classes, classes = set(_classes(live.spec)), set(_classes(spec))
    if live_classes and not live_classes & classes:
        return f"{version} has none of the classes {', '.join(sorted(classes)[:5])}; {REMEDY}."
    missing = _missing_columns(live, dataset) if compared else []
    if missing:
        word = "column" if len(missing) == 1 else "columns"
        return f"{version} takes the {word} {', '.join(missing)}, which the data does not have; {REMEDY}."
    return ""


def split_plan(live: LiveModel | None, dataset: Dataset) -> dict[str, Any]:
    """Returns `Dataset.plan`, but for classes that the live version knows: those keep their rule.

    One that was stratified stays so though it has grown, one that was split by content stays so though it has shrunk.
    """
    plan = dataset.plan()
    if live is None or "time" in plan or not live.has_rule(dataset.rule(), plan):
        return plan
    live_plan, stratified = live.manifest.get("split_plan", {}).get("stratified", {}), {}
    trained_on = live.manifest.get("spec", {}).get("features", {})  # as it stands: another release may have written it
    for name, label in dataset.spec.of(LabelFeature).items():
        live_classes = trained_on.get(name, {}).get("classes", ())
        by_live, by_count = live_plan.get(name, ()), plan.get("stratified", {}).get(name, ())
        classes = [one for one in label.classes if one in (by_live if one in live_classes else by_count)]
        if classes:
            stratified[name] = classes
    return {"stratified": stratified} if stratified else {}


def why_no_warm_start(live: LiveModel, dataset: Dataset, plan: Mapping[str, Any]) -> str:
    """Returns why training cannot begin with the weights of the live version; empty where nothing is known against it.

    A weight belongs to a column by its position: of other columns it would mean something else, though its shape fits.
    """
    if not live.has_rule(dataset.rule(), plan):
        return "its splits were drawn by another rule"
    inputs = [(name, _stored_type(feature)) for name, feature in dataset.spec.features.items() if not feature.target]
    live_inputs = [(name, _stored_type(feature)) for name, feature in live.inputs().items()]
    return "" if inputs == live_inputs else "it takes other columns"


def _classes(spec: DatasetSpec) -> tuple[str, ...]:
    return tuple(name for label in spec.of(LabelFeature).values() for name in label.classes)


def _missing_columns(live: LiveModel, dataset: Dataset) -> list[str]:
    """Returns the inputs of the live version that the data cannot give it, and that it cannot do without."""
    if dataset.columns:
        columns = set(dataset.columns())
        return [name for name, feature in live.inputs().items() if name not in columns and not feature.optional]
    # There are no other columns than the features: one that is stored as another type cannot be read again.
    columns, same = set(dataset.spec.features), _same_inputs(live, dataset.spec)
    return [
        name
        for name, feature in live.inputs().items()
        if name not in same and (name in columns or not feature.optional)
    ]


def _same_inputs(live: LiveModel, spec: DatasetSpec) -> set[str]:
    """Returns the inputs of the live version that are stored as it takes them."""
    return {
        name
        for name, feature in live.inputs().items()
        if _stored_type(feature) == _stored_type(spec.features.get(name))
    }


def _stored_type(feature: Feature | None) -> tuple:
    """Returns what is equal of two features whose stored values can stand for one another."""
    if isinstance(feature, ImageFeature):
        return ("image", feature.height, feature.width, feature.channels)
    return (feature.kind, feature.format) if isinstance(feature, DateFeature) else (feature and feature.kind,)


def missing_inputs(live: LiveModel, dataset: Dataset) -> tuple[str, ...]:
    """Returns the inputs of the live version that the data has no longer."""
    columns = dataset.columns() if dataset.columns else dataset.spec.features
    return tuple(name for name in live.inputs() if name not in columns)


def takes_stored(live: LiveModel, spec: DatasetSpec, missing: Collection[str] = ()) -> bool:
    """Whether the live version can be asked about the examples as they are stored for the candidate.

    Args:
        live: The live version.
        spec: The facts of the candidate's data.
        missing: Inputs of the live version that the data has no longer, see `missing_inputs`: optional ones are no
            obstacle.
    """
    same = _same_inputs(live, spec)
    return all(
        feature.optional if name in missing else name in same and (feature.optional or not spec.features[name].optional)
        for name, feature in live.inputs().items()
    )


def same_classes(live: LiveModel, spec: DatasetSpec) -> bool:
    """Whether both know the same classes, in the same order."""
    return _classes(live.spec) == _classes(spec)


def live_class_indices(live: LiveModel, spec: DatasetSpec) -> list[int]:
    """Returns the live version's index of each class of the candidate; -1 for a class that it does not know."""
    live_classes = _classes(live.spec)
    return [live_classes.index(name) if name in live_classes else -1 for name in _classes(spec)]
