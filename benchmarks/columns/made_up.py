"""Made-up data, the same each time: tables in files, and examples as ingest stores them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.spec import CategoryFeature, DatasetSpec, Feature, LabelFeature, NumberFeature, TextFeature

FEATURES = {
    **{f"decimal{i}": {"kind": "number"} for i in range(8)},
    **{f"whole{i}": {"kind": "number"} for i in range(4)},
    **{f"category{i}": {"kind": "category"} for i in range(4)},
    "day": {"kind": "date"},
    "flag": {"kind": "boolean"},
    "gaps": {"kind": "number", "optional": True},
    "label": {"kind": "label", "classes": ["no", "yes"]},
}
ENDINGS = ("csv", "parquet", "jsonl")
CHUNK = 500_000
SPEC = "spec.json"
FEATURES_FILE = "features.json"  # of a table with other columns than FEATURES


def write_table(folder: Path, rows: int, endings: tuple[str, ...] = ENDINGS) -> None:
    """Writes `rows.csv`, `rows.parquet` and `rows.jsonl` with a column for each of FEATURES, in bounded memory."""
    import pyarrow.csv
    import pyarrow.parquet

    writers = {}
    for begin in range(0, rows, CHUNK):
        table = _chunk(min(CHUNK, rows - begin), begin)
        for ending in endings:
            path = folder / f"rows.{ending}"
            if ending == "jsonl":
                table.to_pandas().to_json(path, orient="records", lines=True, mode="a")
                continue
            if ending not in writers:
                kind = pyarrow.csv.CSVWriter if ending == "csv" else pyarrow.parquet.ParquetWriter
                options = {"write_options": pyarrow.csv.WriteOptions(quoting_style="none")} if ending == "csv" else {}
                writers[ending] = kind(path, table.schema, **options)
            writers[ending].write_table(table)
    for writer in writers.values():
        writer.close()


def _chunk(rows: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    columns = {f"decimal{i}": np.round(generator.normal(size=rows) * 10 ** (i % 4), 3) for i in range(8)}
    columns |= {f"whole{i}": generator.integers(0, 10 ** (i + 1), rows) for i in range(4)}
    for i in range(4):
        columns[f"category{i}"] = _sample([f"value {k}" for k in range(5 * (i + 1))], rows, generator)
    days = np.datetime64("2017-07-14") + generator.integers(0, 2_300, rows)
    columns["day"] = pa.array(days).cast(pa.string())
    columns["flag"] = _sample(["yes", "no"], rows, generator)
    columns["gaps"] = pa.array(np.round(generator.random(rows), 4), mask=generator.random(rows) < 0.1)
    columns["label"] = _sample(["no", "yes"], rows, generator)
    return pa.table(columns)


def _sample(values: list[str], rows: int, generator: np.random.Generator) -> pa.Array:
    return pa.array(values).take(pa.array(generator.integers(0, len(values), rows)))


def write_sequences(folder: Path, rows: int) -> None:
    """Writes `rows.parquet` with lists of 5 to 200 numbers and a label, and their features."""
    import pyarrow.parquet

    generator = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(generator.integers(5, 201, rows))]).astype(np.int32)
    steps = pa.ListArray.from_arrays(offsets, generator.normal(size=offsets[-1]))
    columns = {"steps": steps, "label": _sample(["no", "yes"], rows, generator)}
    pyarrow.parquet.write_table(pa.table(columns), folder / "rows.parquet")
    features = {"steps": {"kind": "sequence"}, "label": {"kind": "label", "classes": ["no", "yes"]}}
    (folder / FEATURES_FILE).write_text(json.dumps(features))


def write_wide(folder: Path, rows: int, columns: int) -> None:
    """Writes examples of numbers and as many categories."""
    features: dict[str, Feature] = {f"n{i}": NumberFeature() for i in range(columns // 2)}
    features |= {f"t{i}": CategoryFeature() for i in range(columns - columns // 2 - 1)}
    features["label"] = LabelFeature(classes=("no", "yes"))
    num_rows = {"train": rows * 8 // 10, "validation": rows // 10, "test": rows // 10}
    spec = DatasetSpec(name="wide", title="made up", licence="none", features=features, num_rows=num_rows)
    generator = np.random.default_rng(0)
    texts = [f"value {i}" for i in range(500)]

    def batches(count: int) -> Iterator[pa.RecordBatch]:
        arrays: list[pa.Array] = []
        for feature in features.values():
            if isinstance(feature, NumberFeature):
                arrays.append(pa.array(generator.normal(size=count).astype(np.float32)))
            elif isinstance(feature, CategoryFeature):
                arrays.append(_sample(texts, count, generator).cast(pa.binary()))
            else:
                arrays.append(pa.array(generator.integers(0, 2, count)))
        yield pa.RecordBatch.from_arrays(arrays, list(features))

    _write_examples(folder, spec, batches)


def write_texts(folder: Path, rows: int, words: int = 90, different: int = 50_000) -> None:
    """Writes examples of `rows` training rows with texts of `words` words each, drawn by Zipf's law."""
    features: dict[str, Feature] = {"text": TextFeature(), "label": LabelFeature(classes=("a", "b"))}
    num_rows = {"train": rows, "validation": 10, "test": 10}
    spec = DatasetSpec(name="texts", title="made up", licence="none", features=features, num_rows=num_rows)
    generator = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    vocabulary = np.array(["".join(generator.choice(letters, generator.integers(3, 9))) for _ in range(different)])
    shares = 1 / np.arange(1, different + 1)
    shares /= shares.sum()

    def batches(count: int) -> Iterator[pa.RecordBatch]:
        for begin in range(0, count, 10_000):
            size = min(10_000, count - begin)
            texts = [" ".join(row) for row in generator.choice(vocabulary, (size, words), p=shares)]
            labels = generator.integers(0, 2, size)
            yield pa.RecordBatch.from_arrays([pa.array(texts).cast(pa.binary()), pa.array(labels)], list(features))

    _write_examples(folder, spec, batches)


def _write_examples(folder: Path, spec: DatasetSpec, batches) -> None:
    """Writes examples as ingest does, in files of the same size, and the facts of the data set."""
    import tensorflow as tf

    from components.artifact_files import SUMMARY
    from components.example_gen import SHARD_BYTES
    from data.columnar import encoding

    examples = folder / "examples"
    for split, rows in spec.num_rows.items():
        (examples / f"Split-{split}").mkdir(parents=True)
        serialized = [row for batch in batches(rows) for row in encoding.encode(batch, list(spec.features)).to_pylist()]
        files = max(1, sum(map(len, serialized)) // SHARD_BYTES)
        for index in range(files):
            path = examples / f"Split-{split}" / f"data-{index:05d}.tfrecord"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for row in serialized[rows * index // files : rows * (index + 1) // files]:
                    writer.write(row)
    SUMMARY.path(examples).write_text(json.dumps({split: {"rows": rows} for split, rows in spec.num_rows.items()}))
    (folder / SPEC).write_text(spec.model_dump_json())
