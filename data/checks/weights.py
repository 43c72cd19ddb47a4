"""The check of the rows' weights, the column data.roles.weight: in each split some rows must count."""

from collections.abc import Iterator, Sequence

import numpy as np

from data.spec import SPLITS

FIX = "correct the weights, or take out data.roles.weight"


def problems(
    weights: np.ndarray, splits: np.ndarray, classes: np.ndarray, *, column: str, labels: Sequence[str]
) -> Iterator[str]:
    """Yields a sentence for each split of which no row counts, or only rows of one of its classes.

    Args:
        weights: How much each row counts, float32 `(rows,)`.
        splits: Index of each row's split, `(rows,)`.
        classes: Class of each row, int `(rows, labels)`.
        column: The column of weights.
        labels: Names of the labels.
    """
    for index, split in enumerate(SPLITS):
        is_of_split = splits == index
        counts = weights[is_of_split] > 0
        if len(counts) and not counts.any():
            yield (
                f"split {split}: expected a row with a weight above 0 in column {column}, found {len(counts):,} rows "
                f"of weight 0; {FIX}."
            )
            continue
        for label, of_label in zip(labels, classes[is_of_split].T, strict=True):
            if len(np.unique(of_label)) > 1 and len(np.unique(of_label[counts])) == 1:
                yield (
                    f"split {split}: expected rows of two classes of {label} with a weight above 0 in column {column}, "
                    f"found those of one; {FIX}."
                )
