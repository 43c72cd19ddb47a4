"""The share of the data that is read is known while reading, so that the remaining time can be shown."""

import gzip
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import loading
from data.config import DataConfig
from data.sources.tables import delimited_blocks, jsonl_blocks, partitions

ROWS = 3000
TEXTS = {
    "csv": "x,y\n" + "".join(f"{x},{x % 7}\n" for x in range(ROWS)),
    "jsonl": "".join(json.dumps({"x": x, "y": x % 7}) + "\n" for x in range(ROWS)),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("packing", ["", ".gz", ".zip"])
def test_the_share_of_text_files_rises_to_one(tmp_path, kind, packing):
    path = tmp_path / f"rows.{kind}{packing}"
    if packing == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"rows.{kind}", TEXTS[kind])
    else:
        path.write_bytes(gzip.compress(TEXTS[kind].encode()) if packing else TEXTS[kind].encode())
    read = {"csv": delimited_blocks.read, "jsonl": jsonl_blocks.read}[kind]

    shares = [block.share for block in read(path, block_bytes=8192)]

    _rises(shares)
    if packing != ".gz":  # a small gzip file is read in one piece
        assert shares[0] < 0.5


def test_the_share_of_a_large_gzip_file_is_by_compressed_bytes(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    lines = [json.dumps({"x": x, "y": x % 7}) + "\n" for x in range(200_000)]
    path.write_bytes(gzip.compress("".join(lines).encode(), 1))

    shares = [block.share for block in jsonl_blocks.read(path, block_bytes=2**18)]

    _rises(shares)
    assert shares[len(shares) // 2] == pytest.approx(0.5, abs=0.2)


def test_a_folder_of_parquet_files_is_as_large_as_its_files(tmp_path):
    for number in range(4):
        folder = tmp_path / "rows" / f"part={number}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [float(x) for x in range(100)], "y": ["a", "b"] * 50}), folder / "0.parquet")

    shares = [block.share for block in partitions.blocks(tmp_path / "rows")]

    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.01)


def test_the_share_is_that_of_all_files_and_folders(tmp_path):
    for name in ("train", "test"):
        for number in range(2):
            folder = tmp_path / name / f"part={number}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"x": [float(x) for x in range(100)], "y": ["a", "b"] * 50}), folder / "0.parquet")
    files = {"train": "train", "test": "test"}
    features = {"x": {"kind": "number"}, "y": {"kind": "label", "classes": ["a", "b"]}}
    config = DataConfig.model_validate({"files": files, "ignore": ["part"], "features": features})

    shares = [batch.share for batch in loading.open_batches(loading.load(config, "x", tmp_path), config)]

    _rises(shares)


def _rises(shares: list[float]) -> None:
    """Asserts that every share is known, and none is below the one before."""
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1
