"""The number of pictures in a batch is limited by their pixels, for all formats of files."""

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data import local
from data.columnar import batches
from data.config import DataConfig

ROWS = 20
FEATURES = {
    "image": {"kind": "image", "height": 8, "width": 8, "channels": 3},  # 192 bytes
    "label": {"kind": "label", "classes": ["0", "1"]},
}


def _pictures() -> list[bytes]:
    files = []
    for number in range(ROWS):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    return files


def _parquet(folder) -> str:
    pictures = [{"bytes": content, "path": f"{number}.png"} for number, content in enumerate(_pictures())]
    table = pa.table({"image": pictures, "label": [number % 2 for number in range(ROWS)]})
    pq.write_table(table, folder / "rows.parquet", row_group_size=7)
    return "rows.parquet"


def _paths(folder) -> str:
    for number, content in enumerate(_pictures()):
        (folder / f"{number}.png").write_bytes(content)
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label"), *((f"{row}.png", row % 2) for row in range(ROWS))])
    return "rows.csv"


def _classes(folder) -> str:
    for number, content in enumerate(_pictures()):
        (folder / "classes" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        (folder / "classes" / str(number % 2) / f"{number:02}.png").write_bytes(content)
    return "classes"


@pytest.mark.parametrize("write", [_parquet, _paths, _classes])
def test_batches_of_pictures_are_limited_by_their_pixels(tmp_path, monkeypatch, write):
    files = {"files": write(tmp_path), "features": FEATURES}
    rows = local.dataset(DataConfig.model_validate(files), "pictures", tmp_path).sources["files"](None)
    (unbounded,) = list(rows)
    monkeypatch.setattr(batches, "MAX_BYTES", 1000)

    bounded = list(rows)

    assert [len(batch) for batch in bounded] == [3, 3, 3, 3, 3, 3, 2]  # of 192 + 8 + 64 bytes
    assert pa.Table.from_batches([batch.columns for batch in bounded]).combine_chunks().to_batches() == [
        unbounded.columns
    ]
    assert np.concatenate([batch.splits for batch in bounded]).tolist() == unbounded.splits.tolist()
    assert [batch.where(row) for batch in bounded for row in range(len(batch))] == list(
        map(unbounded.where, range(ROWS))
    )
