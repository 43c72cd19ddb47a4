"""Optical recognition of handwritten digits, as scikit-learn ships it: 1,797 grey 8x8 images, no download at all.

Source: E. Alpaydin, C. Kaynak, UCI Machine Learning Repository (1998), the test part. It states no writer for a row,
so the splits cannot keep writers apart; accuracy on new writers will be lower than on this test split.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.columnar.splitting import hash_splits, image_bytes
from data.errors import DataError
from data.spec import Dataset, DatasetSpec, ImageFeature, LabelFeature, Row, Splits

# Split -> buckets of the content's hash, of 1,000.
_BUCKETS = {"test": range(0, 200), "validation": range(200, 300), "train": range(300, 1000)}


@dataclass(frozen=True)
class _Rows:
    """All images, with the grey levels 0 to 16 scaled to 0 to 255."""

    images: np.ndarray  # float64 (rows, 8, 8)
    labels: np.ndarray  # int64 (rows,)

    def __iter__(self) -> Iterator[Row]:
        for image, label in zip(self.images, self.labels, strict=True):
            yield {"image": np.round(image * (255 / 16)).astype(np.uint8)[..., np.newaxis], "label": int(label)}


def _from_sklearn(folder: Path | None) -> Splits:
    if folder is not None:
        raise DataError(f"digits comes inside scikit-learn and is not read from {folder}; remove data.dir.")
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = _Rows(digits.images, digits.target)
    return hash_splits(rows, _BUCKETS, image_bytes)


DATASET = Dataset(
    spec=DatasetSpec(
        name="digits",
        title="handwritten digits, grey 8x8, inside scikit-learn",
        licence="CC-BY-4.0",
        features={
            "image": ImageFeature(height=8, width=8, channels=1),
            "label": LabelFeature(classes=tuple("0123456789")),
        },
        num_rows={"train": 1226, "validation": 190, "test": 381},
    ),
    digest=lambda: "scikit-learn-1.5.2",
    sources={"sklearn": _from_sklearn},
)
