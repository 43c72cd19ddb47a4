"""The curl command that `headrace serve` shows for a model, parsed by a real shell."""

import json
import subprocess
from pathlib import Path

import pytest

from data.spec import BooleanFeature, CategoryFeature, DatasetSpec, NumberFeature, SequenceFeature, TargetFeature
from models.serving.protocol import input_rules
from models.serving.rollout.versions import MANIFEST
from pipeline.live.example_request import example_request

COLUMNS = {
    "it's a number": NumberFeature(min=3, max=5),
    "plan": CategoryFeature(values=("ä", "b")),
    "new": BooleanFeature(),
    "steps": SequenceFeature(width=2, min=4),
    "words": SequenceFeature(of="category", max_length=1),
    "price": TargetFeature(),
}


def published(folder: Path, query: dict, rules: dict | None = None) -> Path:
    """Writes the manifest and the input rules of a version; returns its folder."""
    (folder / MANIFEST).parent.mkdir()
    (folder / MANIFEST).write_text(json.dumps({"file_query": query}))
    if rules:
        spec = DatasetSpec(name="m", title="m", licence="", features=COLUMNS)
        input_rules.write(folder, spec, rules)
    return folder


def sent(command: str, folder: Path) -> tuple[dict, str]:
    """Returns the body and the URL that curl gets from a shell."""
    (folder / "curl").write_text('#!/bin/sh\nprintf "%s\\n%s" "$2" "$3"\n')
    (folder / "curl").chmod(0o755)
    done = subprocess.run(["sh", "-c", f"PATH={folder}:$PATH {command}"], cwd=folder, capture_output=True, text=True)
    body, _, url = done.stdout.partition("\n")
    return json.loads(body), url


def test_a_request_for_a_table_has_a_value_within_the_rules_for_each_column(tmp_path):
    rules = {"serving_default": {"inputs": "*"}, "columns": {"it_s_a": "it's a number", "plan": "plan", "new": "new"}}
    rules["columns"] |= {"steps": "steps", "words": "words"}
    version = published(tmp_path, {"kind": "table", "signature": "serving_default", "input_key": "inputs"}, rules)

    body, url = sent(example_request("http://127.0.0.1:8501", "m", version), tmp_path)

    assert body == {"signature_name": "columns", "instances": [
        {"it_s_a": 3, "plan": "ä", "new": 1, "steps": [[4, 4], [4, 4]], "words": ["x"]}
    ]}  # fmt: skip
    assert url == "http://127.0.0.1:8501/v1/models/m:predict"


@pytest.mark.parametrize(
    ("kind", "signature", "instance"),
    [
        ("text", "text", "What a text!"),
        ("name", "recommend", "USER"),
        ("image", "image_bytes", {"b64": "UE5H"}),
    ],
)
def test_a_request_for_another_kind_uses_the_signature_of_the_manifest(tmp_path, kind, signature, instance):
    (tmp_path / "FILE.png").write_bytes(b"PNG")
    version = published(tmp_path, {"kind": kind, "signature": signature, "input_key": "x"})

    body, _ = sent(example_request("http://127.0.0.1:1", "m", version), tmp_path)

    assert body == {"signature_name": signature, "instances": [instance]}
