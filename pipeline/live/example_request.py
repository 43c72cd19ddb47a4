"""An example request to the REST API of a published model, as a curl command. Loads no TensorFlow."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.serving.protocol import input_rules
from models.serving.rollout.versions import read_manifest

MAX_CHARACTERS = 4000  # of the request; a longer one is replaced by a sentence
PICTURE = {"b64": "PICTURE"}
VALUES = {"boolean": 1, "date": 1_700_000_000, "number": 1, "text": "What a text!", "category": "x", "image": PICTURE}


def example_request(rest: str, name: str, version: Path) -> str:
    """Returns a curl command that sends a model one made-up example, within the rules of its training data.

    Args:
        rest: URL of the server's REST API.
        name: Name of the model.
        version: Folder of the published version.
    """
    query = {"kind": "image", **(read_manifest(version).get("file_query") or {})}
    rules = _rules(version)
    columns = rules["signatures"].get("columns", {})
    if query["kind"] == "table" and columns:
        features = rules["features"]
        signature, instance = "columns", {key: _value(features.get(column, {})) for key, column in columns.items()}
    else:
        signature, instance = query.get("signature", "serving_default"), _single_input(query["kind"])
    body = shlex.quote(json.dumps({"signature_name": signature, "instances": [instance]}, ensure_ascii=False))
    if query["kind"] == "image":
        body = body.replace(PICTURE["b64"], "'$(base64 -w0 FILE.png)'")
    url = f"{rest}/v1/models/{name}:predict"
    if len(body) > MAX_CHARACTERS:
        return f"or POST to {url} one value for each of the {len(columns):,} inputs of {version / input_rules.FILE}"
    return f"curl -d {body} {url}"


def _rules(version: Path) -> dict[str, Any]:
    path = version / input_rules.FILE
    return json.loads(path.read_text()) if path.is_file() else {"features": {}, "signatures": {}}


def _single_input(kind: str) -> Any:
    """Returns an instance for a signature of one input; for a table a placeholder, no valid tf.train.Example."""
    return {"image": PICTURE, "text": VALUES["text"], "name": "USER"}.get(kind, {"b64": "SERIALIZED_EXAMPLE"})


def _value(feature: Mapping[str, Any]) -> Any:
    """Returns a value that the input rules of a feature allow; of a sequence two steps."""
    if feature.get("kind") == "sequence":
        step = _value({**feature, "kind": "number" if feature["stored"] == "float" else "category"})
        return [step if feature["width"] == 1 else [step] * feature["width"]] * min(2, feature["max_length"] or 2)
    if feature.get("values"):
        return feature["values"][0]
    value = VALUES.get(feature.get("kind", "number"), "x")
    if isinstance(value, int):
        value = max(value, feature.get("min", value))
        return min(value, feature.get("max", value))
    return value
