"""What clients of one version have to change before they can ask another."""

from pathlib import Path
from typing import Any

from data.errors import ServingError
from models.serving.rollout.versions import read_manifest


def changed_inputs(destination: Path, before: int, after: int) -> str:
    """Returns what is other in the inputs of a version, such as `weight is gone, plan is a category, was a number`.

    Empty where clients of the one can ask the other, or where one of them does not say what it takes.

    Args:
        destination: Folder of the pipeline's versions.
        before: The version that clients ask now.
        after: The one that they are to ask.
    """
    old, new = (_inputs(destination / str(version)) for version in (before, after))
    if not old or not new:
        return ""
    words = [f"{name} is gone" for name in old if name not in new]
    words += [f"{name} is new" for name in new if name not in old]
    for name in [name for name in new if name in old]:
        before_it, now = old[name], new[name]
        if now["kind"] != before_it["kind"]:
            words.append(f"{name} is a {now['kind']}, was a {before_it['kind']}")
        elif before_it.get("optional") and not now.get("optional"):
            words.append(f"{name} must be there, might be absent")
    return ", ".join(words)


def _inputs(folder: Path) -> dict[str, Any]:
    """Returns the features that a version takes, by name; none where its manifest does not say."""
    try:
        features = read_manifest(folder).get("spec", {}).get("features", {})
    except ServingError:
        return {}
    return {name: one for name, one in features.items() if one["kind"] not in ("label", "target")}
