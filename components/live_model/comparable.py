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
        names = [", ".join(one.targets()) for one in (live.spec, spec)]
        return f"{version} predicts {names[0]}, this one {names[1]}; {REMEDY}."
    classes = [set(_classes(one)) for one in (live.spec, spec)]
    if classes[0] and not classes[0] & classes[1]:
        return f"{version} has none of the classes {', '.join(sorted(classes[1])[:5])}; {REMEDY}."
    lacking = _lacking(live, dataset) if compared else []
    if lacking:
        word = "column" if len(lacking) == 1 else "columns"
        return f"{version} takes the {word} {', '.join(lacking)}, which the data does not have; {REMEDY}."
    return ""


def split_plan(live: LiveModel | None, dataset: Dataset) -> dict[str, Any]:
    """Returns `Dataset.plan`, but for classes that the live version knows: those keep their rule.

    One that was stratified stays so though it has grown, one that was split by content stays so though it has shrunk.
    """
    plan = dataset.plan()
    if live is None or "time" in plan or not live.has_rule(dataset.rule(), plan):
        return plan
    before, stratified = live.manifest.get("split_plan", {}).get("stratified", {}), {}
    trained_on = live.manifest.get("spec", {}).get("features", {})  # as it stands: another release may have written it
    for name, label in dataset.spec.of(LabelFeature).items():
        known = trained_on.get(name, {}).get("classes", ())
        of_live, rare = before.get(name, ()), plan.get("stratified", {}).get(name, ())
        stratified[name] = [one for one in label.classes if one in (of_live if one in known else rare)]
    found = {name: classes for name, classes in stratified.items() if classes}
    return {"stratified": found} if found else {}


def why_no_warm_start(live: LiveModel, dataset: Dataset, plan: Mapping[str, Any]) -> str:
    """Returns why training cannot begin with the weights of the live version; empty where nothing is known against it.

    A weight belongs to a column by its place: of other columns it would mean something else, though its shape fits.
    """
    if not live.has_rule(dataset.rule(), plan):
        return "its splits were drawn by another rule"
    ours = [(name, _form(one)) for name, one in dataset.spec.features.items() if not one.target]
    return "" if ours == [(name, _form(one)) for name, one in live.inputs().items()] else "it takes other columns"


def _classes(spec: DatasetSpec) -> tuple[str, ...]:
    return tuple(name for label in spec.of(LabelFeature).values() for name in label.classes)


def _lacking(live: LiveModel, dataset: Dataset) -> list[str]:
    """Returns the inputs of the live version that the data cannot give it, and that it cannot do without."""
    if dataset.columns:
        there = set(dataset.columns())
        return [name for name, feature in live.inputs().items() if name not in there and not feature.optional]
    # There are no other columns than the features: of one in another form there is nothing to read again.
    there, alike = set(dataset.spec.features), _alike(live, dataset.spec)
    return [
        name for name, feature in live.inputs().items() if name not in alike and (name in there or not feature.optional)
    ]


def _alike(live: LiveModel, spec: DatasetSpec) -> set[str]:
    """Returns the inputs of the live version that are stored as it takes them."""
    return {name for name, one in live.inputs().items() if _form(one) == _form(spec.features.get(name))}


def _form(feature: Feature | None) -> tuple:
    """Returns what two features have in common where the stored values of one do for the other."""
    if isinstance(feature, ImageFeature):
        return ("image", feature.height, feature.width, feature.channels)
    return (feature.kind, feature.format) if isinstance(feature, DateFeature) else (feature and feature.kind,)


def absent(live: LiveModel, dataset: Dataset) -> tuple[str, ...]:
    """Returns the inputs of the live version that the data has no longer."""
    there = dataset.columns() if dataset.columns else dataset.spec.features
    return tuple(name for name in live.inputs() if name not in there)


def takes_stored(live: LiveModel, spec: DatasetSpec, gone: Collection[str] = ()) -> bool:
    """Whether the live version can be asked about the examples as they are stored for the candidate.

    `gone` are inputs of its that the data has no longer, see `absent`: those that may lack are no obstacle.
    """
    alike = _alike(live, spec)
    return all(
        feature.optional if name in gone else name in alike and (feature.optional or not spec.features[name].optional)
        for name, feature in live.inputs().items()
    )


def same_classes(live: LiveModel, spec: DatasetSpec) -> bool:
    """Whether both know the same classes, in the same order."""
    return _classes(live.spec) == _classes(spec)


def places(live: LiveModel, spec: DatasetSpec) -> list[int]:
    """Returns for each class of the candidate which of the live version's it is; -1 for one that it does not know."""
    known = _classes(live.spec)
    return [known.index(name) if name in known else -1 for name in _classes(spec)]
