"""What a model answered about the test split, as the evaluation keeps it. Loads no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Answers:
    """What a model answered.

    Attributes:
        targets: int64 classes or float32 numbers `(rows,)`.
        values: What the task answers under its `prediction_key`, such as float32 probabilities `(rows, classes)`.
        seconds: How long it took to answer them.
        groups: int32 `(rows,)` from 0, which rows belong together, such as those of a user; None where none do.
    """

    targets: np.ndarray
    values: np.ndarray
    seconds: float = 0.0
    groups: np.ndarray | None = None

    @property
    def numbers(self) -> np.ndarray:
        """The predicted numbers `(rows,)`; of answers with several values the last."""
        return self.values if self.values.ndim == 1 else self.values[:, -1]


def read(file: Path) -> Answers:
    """Returns what an `.npz` file keeps; raises OSError, ValueError or KeyError where it is gone or damaged."""
    with np.load(file) as found:
        return Answers(found["targets"], found["values"], float(found["seconds"]), found.get("groups"))
