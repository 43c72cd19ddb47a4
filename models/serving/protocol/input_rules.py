"""The rules of input validation: a file in the SavedModel, made from the schema of the training data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.spec import DatasetSpec

FILE = Path("assets.extra") / "input_guard.json"
EXAMPLES = "*"  # the feature name of an input of serialized tf.train.Examples, which holds all features


def write(model: Path, spec: "DatasetSpec", inputs: Mapping[str, Mapping[str, str]]) -> None:
    """Writes the rules by which requests to a SavedModel are validated.

    Args:
        model: Folder of the SavedModel.
        spec: The training data's schema.
        inputs: Signature -> input alias -> feature name, or `EXAMPLES`.
    """
    from data.kinds.registry import kind_of  # not needed by the server, which reads the rules

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
            **kind_of(feature).rules(feature),
        }
    (model / FILE).parent.mkdir(exist_ok=True)
    (model / FILE).write_text(json.dumps({"features": features, "signatures": inputs}, indent=1))
