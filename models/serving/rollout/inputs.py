"""Changes of the input features between two versions, which break their clients."""

from pathlib import Path
from typing import Any

from data.errors import ServingError
from models.serving.rollout.versions import read_manifest


def changed_inputs(destination: Path, before: int, after: int) -> str:
    """Returns the changes of the inputs of a version, such as `weight is gone, plan is a category, was a number`.

    Empty if the same requests suit both versions, or if the manifest of one of them lacks its features.

    Args:
        destination: Folder of the pipeline's versions.
        before: The version that clients use now.
        after: The version that they are to use.
    """
    old_features, new_features = (_inputs(destination / str(version)) for version in (before, after))
    if not old_features or not new_features:
        return ""
    changes = [f"{name} is gone" for name in old_features if name not in new_features]
    changes += [f"{name} is new" for name in new_features if name not in old_features]
    for name in [name for name in new_features if name in old_features]:
        old_feature, new_feature = old_features[name], new_features[name]
        if new_feature["kind"] != old_feature["kind"]:
            changes.append(f"{name} is a {new_feature['kind']}, was a {old_feature['kind']}")
        elif old_feature.get("optional") and not new_feature.get("optional"):
            changes.append(f"{name} must be there, might be absent")
    return ", ".join(changes)


def _inputs(folder: Path) -> dict[str, Any]:
    """Returns the input features of a version by name; none if its manifest lacks them."""
    try:
        features = read_manifest(folder).get("spec", {}).get("features", {})
    except ServingError:
        return {}
    return {name: feature for name, feature in features.items() if feature["kind"] not in ("label", "target")}
