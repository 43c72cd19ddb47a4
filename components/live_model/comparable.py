"""The live version of a pipeline, and whether a candidate can be compared with it. Loads no TensorFlow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.columnar.splitting import agree
from data.errors import ServingError
from data.kinds.registry import kind_of
from data.spec import Dataset, DatasetSpec, Feature, LabelFeature
from models.serving.rollout.rollouts import live_version
from models.serving.rollout.versions import read_manifest

REMEDY = "publish under another name, or go on without the comparison: --set evaluate.against_live=never"


@dataclass(frozen=True)
class LiveModel:
    """The version of a pipeline that is live.

    Attributes:
        version: Its number.
        folder: Folder of its SavedModel.
        manifest: Its manifest.
    """

    version: int
    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, destination: Path) -> "LiveModel | None":
        """Returns the live version in a pipeline's folder of versions; None if nothing is published.

        Raises:
            ConfigError: The pinned version does not exist.
            ServingError: It was not published by Headrace.
        """
        version = live_version(destination)
        if version is None:
            return None
        folder = destination / str(version)
        return cls(version, folder, read_manifest(folder))

    @property
    def spec(self) -> DatasetSpec:
        """Features of the data that it was trained on.

        Raises:
            ServingError: The manifest's entry cannot be read, since another release wrote it.
        """
        try:
            return DatasetSpec.model_validate(self.manifest["spec"])
        except (KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ServingError(
                f"The features of version {self.version}, which is live, cannot be read ({reason}); {REMEDY}."
            ) from error

    def inputs(self) -> dict[str, Feature]:
        """Returns its inputs: name -> feature."""
        return {name: feature for name, feature in self.spec.features.items() if not feature.target}

    def was_tested_on(self, digest: str) -> bool:
        """Whether its test split has this digest, so that it was not trained on any of these rows.

        Manifests of older releases have the digest too, though no rule of the splits.
        """
        return self.manifest.get("evaluation", {}).get("data_digest") == digest

    def has_rule(self, rule: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
        """Whether its rows were split by this rule, so that it was not trained on any row of the present test split.

        For splits by time, all present test rows must also be newer than its training rows. Of stratified classes a few
        rows may have moved between splits, which is accepted.

        Args:
            rule: The rule by which the present rows are split.
            plan: The part of it that depends on all rows, see `split_plan`.
        """
        if not agree(self.manifest.get("split", {}), rule):
            return False
        if "time" not in plan:
            return True
        trained_until = self.manifest.get("split_plan", {}).get("time", {}).get("starts", {}).get("validation")
        return trained_until is not None and plan["time"]["starts"]["test"] >= trained_until


def why_not_comparable(live: LiveModel, task: str, dataset: Dataset, *, is_compared: bool) -> str:
    """Returns in one sentence why a candidate cannot be compared with the live version; empty if it can.

    Args:
        live: The live version.
        task: The candidate's task.
        dataset: The candidate's data.
        is_compared: Whether their metrics are compared; if not, the live version needs no inputs.
    """
    version, spec = f"version {live.version}, which is live,", dataset.spec
    if live.manifest.get("task") != task:
        return f"{version} is of task {live.manifest.get('task')}, this one of {task}; {REMEDY}."
    if live.spec.targets() != spec.targets():
        live_target, target = (", ".join(each.targets()) for each in (live.spec, spec))
        return f"{version} predicts {live_target}, this one {target}; {REMEDY}."
    live_classes, classes = set(_classes(live.spec)), set(_classes(spec))
    if live_classes and not live_classes & classes:
        return f"{version} has none of the classes {', '.join(sorted(classes)[:5])}; {REMEDY}."
    missing = _missing_columns(live, dataset) if is_compared else []
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        return f"{version} takes the {noun} {', '.join(missing)}, which the data does not have; {REMEDY}."
    return ""


def split_plan(live: LiveModel | None, dataset: Dataset) -> dict[str, Any]:
    """Returns `Dataset.plan`, in which the classes of the live version keep their rule.

    A class that was stratified remains so when it grows, and one that was not does not become so when it shrinks.
    """
    plan = dataset.plan()
    if live is None or "time" in plan or not live.has_rule(dataset.rule(), plan):
        return plan
    live_stratified, stratified = live.manifest.get("split_plan", {}).get("stratified", {}), {}
    live_features = live.manifest.get("spec", {}).get("features", {})  # not validated: of any release
    for name, label in dataset.spec.of(LabelFeature).items():
        live_classes = live_features.get(name, {}).get("classes", ())
        by_live, by_count = live_stratified.get(name, ()), plan.get("stratified", {}).get(name, ())
        classes = [value for value in label.classes if value in (by_live if value in live_classes else by_count)]
        if classes:
            stratified[name] = classes
    return {"stratified": stratified} if stratified else {}


def why_no_warm_start(live: LiveModel, dataset: Dataset, plan: Mapping[str, Any]) -> str:
    """Returns why training cannot begin with the weights of the live version; empty if it can.

    A weight belongs to a column by its position: with other columns it would fit by its shape, and be wrong.
    """
    if not live.has_rule(dataset.rule(), plan):
        return "its splits follow another rule"
    inputs = [(name, _stored_type(feature)) for name, feature in dataset.spec.features.items() if not feature.target]
    live_inputs = [(name, _stored_type(feature)) for name, feature in live.inputs().items()]
    return "" if inputs == live_inputs else "it takes other columns"


def _classes(spec: DatasetSpec) -> tuple[str, ...]:
    """Returns the names of all classes."""
    return tuple(name for label in spec.of(LabelFeature).values() for name in label.classes)


def _missing_columns(live: LiveModel, dataset: Dataset) -> list[str]:
    """Returns the required inputs of the live version that cannot be read from the data."""
    if dataset.columns:
        columns = set(dataset.columns())
        return [name for name, feature in live.inputs().items() if name not in columns and not feature.optional]
    # This data set has no columns besides its features: one that is stored as another type cannot be read again.
    columns, same = set(dataset.spec.features), _same_inputs(live, dataset.spec)
    return [
        name
        for name, feature in live.inputs().items()
        if name not in same and (name in columns or not feature.optional)
    ]


def _same_inputs(live: LiveModel, spec: DatasetSpec) -> set[str]:
    """Returns the inputs of the live version that the candidate's examples hold as the same type."""
    return {
        name
        for name, feature in live.inputs().items()
        if _stored_type(feature) == _stored_type(spec.features.get(name))
    }


def _stored_type(feature: Feature | None) -> tuple:
    """Returns a key that is equal for features whose stored values have the same meaning."""
    return kind_of(feature).identity(feature) if feature else ()


def missing_inputs(live: LiveModel, dataset: Dataset) -> tuple[str, ...]:
    """Returns the inputs of the live version for which the data has no column."""
    columns = dataset.columns() if dataset.columns else dataset.spec.features
    return tuple(name for name in live.inputs() if name not in columns)


def takes_stored(live: LiveModel, spec: DatasetSpec, missing: Collection[str] = ()) -> bool:
    """Whether the live version can predict the candidate's examples as they are stored.

    Args:
        live: The live version.
        spec: Features of the candidate's data.
        missing: Inputs of the live version without a column in the data, see `missing_inputs`; they have to be
            optional.
    """
    same = _same_inputs(live, spec)
    return all(
        feature.optional if name in missing else name in same and (feature.optional or not spec.features[name].optional)
        for name, feature in live.inputs().items()
    )


def same_classes(live: LiveModel, spec: DatasetSpec) -> bool:
    """Whether both have the same classes, in the same order."""
    return _classes(live.spec) == _classes(spec)


def live_class_indices(live: LiveModel, spec: DatasetSpec) -> list[int]:
    """Returns the live version's index of each class of the candidate; -1 for a class that it does not know."""
    live_classes = _classes(live.spec)
    return [live_classes.index(name) if name in live_classes else -1 for name in _classes(spec)]
