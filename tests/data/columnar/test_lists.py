"""Columns of lists: read from every format alike, without a loop over their rows."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import loading, local
from data.config import DataConfig

LISTS = [[float(row), row / 4, -1.5][: 1 + row % 3] for row in range(60)]
FEATURES = {"steps": {"kind": "sequence"}, "label": {"kind": "label", "classes": ["a", "b"]}}


def _rows(folder, file: str) -> dict[str, list]:
    """Returns split -> the stored lists of its rows, as ingest reads a file."""
    config = DataConfig.model_validate({"files": file, "features": FEATURES})
    splits: dict[str, list] = {}
    for batch in loading.open_batches(local.dataset(config, "lists", folder), config):
        for split, steps in zip(batch.splits.tolist(), batch.columns.column("steps").to_pylist(), strict=True):
            splits.setdefault(split, []).append(steps)
    return splits


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_a_row_is_in_the_same_split_in_json_and_in_parquet(tmp_path, kind):
    labels = ["ab"[row % 2] for row in range(len(LISTS))]
    lines = [json.dumps({"steps": steps, "label": label}) for steps, label in zip(LISTS, labels, strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    pq.write_table(pa.table({"steps": pa.array(LISTS, pa.list_(kind)), "label": labels}), tmp_path / "rows.parquet")

    splits = _rows(tmp_path, "rows.jsonl")

    assert splits == _rows(tmp_path, "rows.parquet")
    assert len(splits) == 3
    assert sorted(steps for rows in splits.values() for steps in rows) == sorted(LISTS)
