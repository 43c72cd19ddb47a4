"""Rows of one pixel and one label for tests of checks, as batches."""

import numpy as np

from data.columnar import columns, encoding
from data.columnar.batches import SPLIT_INDEX, Batch
from data.spec import DatasetSpec, ImageFeature, LabelFeature, Problem

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={"image": ImageFeature(height=1, width=1, channels=1), "label": LabelFeature(classes=("cat", "dog"))},
    num_rows={"train": 1, "validation": 1, "test": 1},
)


def rows(*values: int, label=None) -> list[dict]:
    """Returns rows with these pixels; the label is the pixel's parity unless it is given."""
    return [{"image": np.full((1, 1, 1), v, np.uint8), "label": v % 2 if label is None else label} for v in values]


Bad = tuple[Problem, ...]


def batch(rows: list[tuple[str, dict | Bad]], spec: DatasetSpec = SPEC, *, file: str = "", first: int = 1) -> Batch:
    """Returns a batch of rows, each with its split, numbered from `first` on; of an unusable row its problems."""
    usable = [(split, row) for split, row in rows if isinstance(row, dict)]
    stored = columns.of_rows([row for _, row in usable], spec)
    inputs = encoding.encode(stored, [name for name, feature in spec.features.items() if not feature.target])
    return Batch(
        stored,
        np.array([SPLIT_INDEX[split] for split, _ in usable], np.int8),
        file,
        np.arange(first, first + len(usable)),
        inputs,
        encoding.digests(inputs),
        problems=tuple((split, row) for split, row in rows if not isinstance(row, dict)),
    )


def bad(number: int) -> Bad:
    return (Problem(f"rows.csv:{number}", "image", "a whole image", "an empty file"),)
