"""Predictions of a published model: as JSON values, as text for people, and as a table to join with the input."""

import contextlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from data.errors import ConfigError
from data.files import atomic
from data.scripts import isolated
from data.texts import to_json
from pipeline.live.batches import KEYS, without_nulls

MAX_CLASS_COLUMNS = 100  # with more classes a table has the most probable ones only
GROUP_ROWS = 16_384  # written at a time; a row group of Parquet


@dataclass(frozen=True)
class PredictionBatch:
    """The predictions for a batch of examples, in the order of the examples.

    Attributes:
        keys: Which example each row is, see `pipeline.live.batches.KEYS`.
        versions: Version of the model that predicted, int64 `(rows,)`; null where there is an error.
        errors: Location of an example without a prediction and the reason, string `(rows,)`; null where there is a
            prediction.
        outputs: The signature's outputs by name, each `(predicted, ...)`: of the rows without an error, in order.
        share: Fraction of the bytes of all files that is read at the end of this batch, from 0 to 1; 0 where it is not
            known.
    """

    keys: pa.RecordBatch
    versions: pa.Array
    errors: pa.Array
    outputs: Mapping[str, np.ndarray]
    share: float = 0.0

    def __len__(self) -> int:
        return len(self.errors)

    def __iter__(self) -> Iterator["Prediction"]:
        """Yields the predictions one by one, for a person to read."""
        predicted = 0
        rows = zip(self.keys.to_pylist(), self.versions.to_pylist(), self.errors.to_pylist(), strict=True)
        for key, version, error in rows:
            if error is None:
                outputs = {name: values[predicted] for name, values in self.outputs.items()}
                predicted += 1
                yield Prediction(without_nulls(key), version, outputs)
            else:
                yield Prediction(without_nulls(key), None, {}, error)


@dataclass(frozen=True)
class Prediction:
    """The prediction for one example.

    Attributes:
        key: Which example it is: `file`, with `row`, from 1, and `id`, if any, in a table; or `text`.
        version: Version of the model that predicted; None where there is an error.
        outputs: The signature's outputs by name; empty where there is an error.
        error: Location of the example and why it has no prediction; empty where it has one.
    """

    key: dict[str, Any]
    version: int | None
    outputs: Mapping[str, Any]
    error: str = ""

    def as_json(self, top_k: int) -> dict[str, Any]:
        """Returns the prediction as JSON values: `value`, or `top`, the best `top_k` classes or items; or `error`."""
        if self.error:
            return {**self.key, "error": self.error}
        values = {**self.key, "version": self.version}
        if "outputs" in self.outputs:
            return {**values, "value": shortest(self.outputs["outputs"])}
        noun, score = nouns(self.outputs)
        best = ranked(self.outputs, top_k)
        return {**values, "top": [{noun: name, score: value} for name, value in best]}

    def as_text(self, top_k: int) -> str:
        """Returns the prediction as text, a number with six significant digits."""
        if "outputs" in self.outputs:
            return number(self.outputs["outputs"])
        return ", ".join(f"{isolated(name)} {value:.3f}" for name, value in ranked(self.outputs, top_k))


def shortest(value: Any) -> float:
    """Returns the double with the fewest digits that rounds to the number in its own dtype: 0.1 for float32 0.1."""
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def number(value: Any) -> str:
    """Returns a number with six significant digits, without an exponent below 1e15."""
    rounded = f"{float(value):.6g}"
    return f"{float(rounded):.0f}" if "e+" in rounded and abs(float(rounded)) < 1e15 else rounded


def nouns(outputs: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the column names of a ranking: `class` and `probability`, or `item` and `score` of a recommender."""
    return ("item", "score") if "titles" in outputs else ("class", "probability")


def ranked(outputs: Mapping[str, Any], top_k: int) -> list[tuple[str, float]]:
    """Returns the best `top_k` names with their scores, the best first."""
    names = outputs["titles" if "titles" in outputs else "classes"]
    best = heapq.nlargest(top_k, zip(names, outputs["scores"], strict=True), key=lambda pair: pair[1])
    return [(name.decode() if isinstance(name, bytes) else name, shortest(score)) for name, score in best]


@dataclass(frozen=True)
class Columns:
    """The columns of a table of predictions.

    `file` and `row`, from 1, and `id`, or `text`, name the example, `version` the model. A predicted number is in
    `value`. The most probable class is in `class` and `probability`, and each class has a column such as
    `probability_yes`. Items, and classes where there are more than MAX_CLASS_COLUMNS, are ranked in `item`, `score`,
    `item_2`, `score_2` and so on. `error` says why a row has no prediction.

    Attributes:
        key: Names of the columns that name the example.
        outputs: The signature's outputs: name -> dtype, such as `float32`.
        classes: Names of the classes; empty where there are none, or they are not known.
        top_k: Number of ranked classes or items where not each class has a column.
    """

    key: tuple[str, ...]
    outputs: Mapping[str, str]
    classes: tuple[str, ...]
    top_k: int

    @property
    def _classes_with_column(self) -> tuple[str, ...]:
        """The classes, where each has a column of its own; else none."""
        return self.classes if "classes" in self.outputs and len(self.classes) <= MAX_CLASS_COLUMNS else ()

    def _ranks(self) -> list[tuple[str, str]]:
        """Returns the names of the columns of a ranking, name and score of each rank, the best first."""
        noun, score = nouns(self.outputs)
        ranks = range(1, (1 if self._classes_with_column else self.top_k) + 1)
        return [(f"{noun}_{rank}", f"{score}_{rank}") if rank > 1 else (noun, score) for rank in ranks]

    def schema(self) -> pa.Schema:
        """Returns the columns' names and types."""
        fields = {key: KEYS.field(key).type for key in self.key} | {"version": pa.int64()}
        if "outputs" in self.outputs:
            fields["value"] = _number_type(self.outputs["outputs"])
        else:
            score_type = _number_type(self.outputs["scores"])
            for name, score in self._ranks():
                fields |= {name: pa.string(), score: score_type}
            fields |= {f"probability_{name}": score_type for name in self._classes_with_column}
        return pa.schema([*fields.items(), ("error", pa.string())])

    def batch(self, predictions: PredictionBatch) -> pa.RecordBatch:
        """Returns the rows of the table for a batch of predictions."""
        schema = self.schema()
        columns = self._output_columns(predictions.outputs) if predictions.outputs else {}
        if predictions.errors.null_count < len(predictions):
            is_predicted = predictions.errors.is_null().to_numpy(zero_copy_only=False)
            indices = pa.array(np.cumsum(is_predicted) - 1, mask=~is_predicted)
            columns = {name: column.take(indices) for name, column in columns.items()}
        columns |= {name: predictions.keys.column(name) for name in self.key}
        columns |= {"version": predictions.versions, "error": predictions.errors}
        arrays = [
            columns[field.name].cast(field.type) if field.name in columns else pa.nulls(len(predictions), field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _output_columns(self, outputs: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """Returns the columns of the predicted numbers, classes or items: name -> `(predicted,)`."""
        if "outputs" in outputs:
            return {"value": pa.array(_floats(outputs["outputs"]))}
        names, scores = outputs["titles" if "titles" in outputs else "classes"], _floats(outputs["scores"])
        rank_columns, columns = self._ranks(), {}
        rows, top = np.arange(len(scores)), _top_indices(scores, len(rank_columns))
        for (name, score), indices in zip(rank_columns, top.T, strict=False):  # a model may have fewer names
            texts = pa.array(names[rows, indices].tolist()).cast(pa.string())
            is_none = pc.equal(texts, "")  # a user who had nearly every item gets fewer
            columns[name] = pc.if_else(is_none, None, texts)
            columns[score] = pc.if_else(is_none, None, pa.array(scores[rows, indices]))
        return columns | {
            f"probability_{name}": pa.array(class_scores)
            for name, class_scores in zip(self._classes_with_column, scores.T, strict=False)
        }


def _top_indices(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices of the highest scores of each row, descending; the first of equal scores first, NaN last.

    Args:
        scores: Floats `(rows, names)`.
        count: Number of indices a row.

    Returns:
        int64 `(rows, min(count, names))`.
    """
    if count == 1 and scores.shape[1]:
        return np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)[:, None]
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def _floats(values: np.ndarray) -> np.ndarray:
    """Returns float32 and float64 as they are, other dtypes as float64 rounded as in `Prediction.as_json`."""
    if values.dtype in (np.float32, np.float64):
        return values
    return np.array([shortest(value) for value in values.flat], np.float64).reshape(values.shape)


def _number_type(dtype: str) -> pa.DataType:
    return pa.float64() if dtype == "float64" else pa.float32()


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


class _JsonLines:
    """Writes record batches as JSON Lines, an object a row, with null for missing values."""

    def __init__(self, path: Path):
        self._file = path.open("w", encoding="utf-8")

    def write_batch(self, batch: pa.RecordBatch) -> None:
        # Cast by way of text: float32 0.1 as a double is 0.10000000149.
        columns = [
            column.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(column.type) else column
            for column in batch.columns
        ]
        for row in pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist():
            self._file.write(to_json(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


WRITERS = {
    ".csv": lambda path, schema: pyarrow.csv.CSVWriter(path, schema),
    ".jsonl": lambda path, schema: _JsonLines(path),
    ".parquet": lambda path, schema: pyarrow.parquet.ParquetWriter(path, schema),
}


class PredictionTable:
    """Writes predictions to a file, GROUP_ROWS rows at a time.

    Args:
        path: The file; its ending is the format.
        name: The file's name in error messages.
    """

    def __init__(self, path: Path, name: str):
        self._path, self._name = path, name
        self._batches: list[pa.RecordBatch] = []
        self._schema: pa.Schema | None = None
        self._writer: _Writer | None = None

    def write(self, predictions: PredictionBatch, columns: Columns) -> None:
        """Writes a batch; all batches have the same columns. Raises ConfigError when the file cannot be written."""
        self._schema = self._schema or columns.schema()
        self._batches.append(columns.batch(predictions))
        if sum(map(len, self._batches)) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Writes the remaining rows; raises ConfigError when the file cannot be written."""
        self._flush()
        if self._writer is not None:
            with _write_errors(self._name):
                self._writer.close()

    def _flush(self) -> None:
        with _write_errors(self._name):
            if self._writer is None:
                self._writer = WRITERS[self._path.suffix](self._path, self._schema)
            if self._batches:
                for batch in pa.Table.from_batches(self._batches).combine_chunks().to_batches():
                    self._writer.write_batch(batch)
        self._batches = []


@contextlib.contextmanager
def open_table(path: Path, inputs: Sequence[Path] = (), *, force: bool = False) -> Iterator[PredictionTable]:
    """Yields a table of predictions whose file appears complete when the block ends, and not at all after an error.

    Args:
        path: The file; its ending, .csv, .jsonl or .parquet, is the format.
        inputs: The files to predict, which are not overwritten.
        force: Whether an existing file is replaced.

    Raises:
        ConfigError: The file exists, cannot be written, or has another ending.
    """
    with _write_errors(str(path)):
        _check_destination(path, inputs, force)
    with contextlib.ExitStack() as stack:
        with _write_errors(str(path)):
            staging = stack.enter_context(atomic.replacing(path))
            staging.touch()
        writer = PredictionTable(staging, str(path))
        yield writer
        writer.close()
        with _write_errors(str(path)):
            stack.close()


def _check_destination(path: Path, inputs: Sequence[Path], force: bool) -> None:
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: expected a name that ends with {', '.join(WRITERS)}.")
    if any(path.resolve() == file.resolve() for file in inputs):
        raise ConfigError(f"--out {path} is one of the files to predict; choose another name.")
    if path.exists() and not (force and path.is_file()):
        fix = ", or --force to write over it" if path.is_file() else ""
        raise ConfigError(f"--out {path} is there already; choose another name{fix}.")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path} cannot be written: there is no folder {path.parent}.")


@contextlib.contextmanager
def _write_errors(name: str) -> Iterator[None]:
    """Raises ConfigError for an OSError of the block: the file `name` cannot be written."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"--out {name} cannot be written ({error.strerror or error}).") from None
