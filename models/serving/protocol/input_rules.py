"""The rules that requests to a model are held to: a file in its SavedModel, made from the training data's schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.spec import DatasetSpec

FILE = Path("assets.extra") / "input_guard.json"
EXAMPLES = "*"  # stands for all features, in the one input of serialized tf.train.Examples


def write(model: Path, spec: "DatasetSpec", inputs: Mapping[str, Mapping[str, str]]) -> None:
    """Writes what requests to a SavedModel are validated by.

    Args:
        model: Folder of the SavedModel.
        spec: The training data's schema.
        inputs: Signature -> input's alias -> feature, or `EXAMPLES`.
    """
    features = {}
    for name, feature in spec.features.items():
        if feature.target:
            continue
        features[name] = {
            "kind": feature.kind,
            "stored": feature.stored,
            "optional": feature.optional,
            **{key: getattr(feature, key) for key in ("min", "max") if getattr(feature, key, None) is not None},
            **({"values": list(feature.values)} if getattr(feature, "values", ()) else {}),
        }
        if feature.kind == "image":
            features[name]["num_bytes"] = feature.height * feature.width * feature.channels
    (model / FILE).parent.mkdir(exist_ok=True)
    (model / FILE).write_text(json.dumps({"features": features, "signatures": inputs}, indent=1))
