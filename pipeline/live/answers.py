"""Answers of a published model: as JSON values, as a person reads them, and as a table to join with what was asked."""

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
from pipeline.live.batches import key

MAX_CLASS_COLUMNS = 100  # with more classes a table has the best ones only
GROUP_ROWS = 16_384  # written at a time; a row group of Parquet


@dataclass(frozen=True)
class Answers:
    """What a model says to a batch of questions, in their order.

    Attributes:
        keys: What each is about, see `pipeline.live.batches.KEYS`.
        versions: Who answered, int64 `(rows,)`; null where there is an error.
        errors: Where and why there is no answer, string `(rows,)`; null where there is one.
        outputs: The signature's outputs by name, each `(answered, ...)`: of the rows without an error, in order.
        share: How much of all files is read with these, up to 1; 0 where that is not known.
    """

    keys: pa.RecordBatch
    versions: pa.Array
    errors: pa.Array
    outputs: Mapping[str, np.ndarray]
    share: float = 0.0

    def __len__(self) -> int:
        return len(self.errors)

    def __iter__(self) -> Iterator["Answer"]:
        """Yields the answers one by one, for a person to read."""
        answered = 0
        told = zip(self.keys.to_pylist(), self.versions.to_pylist(), self.errors.to_pylist(), strict=True)
        for keys, version, error in told:
            if error is None:
                outputs = {name: values[answered] for name, values in self.outputs.items()}
                answered += 1
                yield Answer(key(keys), version, outputs)
            else:
                yield Answer(key(keys), None, {}, error)


@dataclass(frozen=True)
class Answer:
    """What a model says to one question.

    Attributes:
        key: What the question is: `file`, with `row`, from 1, in a table; or `text`.
        version: Who answered; None where nobody was asked.
        outputs: The signature's outputs by name; empty where there is an error.
        error: Where and why there is no answer; empty where there is one.
    """

    key: dict[str, Any]
    version: int | None
    outputs: Mapping[str, Any]
    error: str = ""

    def as_json(self, top_k: int) -> dict[str, Any]:
        """Returns the answer as JSON values: `value`, or `top`, the best `top_k` of classes or items; or `error`."""
        if self.error:
            return {**self.key, "error": self.error}
        told = {**self.key, "version": self.version}
        if "outputs" in self.outputs:
            return {**told, "value": shortest(self.outputs["outputs"])}
        noun, score = nouns(self.outputs)
        best = ranked(self.outputs, top_k)
        return {**told, "top": [{noun: name, score: value} for name, value in best]}

    def as_text(self, top_k: int) -> str:
        """Returns the answer as a person reads it, a number with six significant digits."""
        if "outputs" in self.outputs:
            return number(self.outputs["outputs"])
        return ", ".join(f"{isolated(name)} {value:.3f}" for name, value in ranked(self.outputs, top_k))


def shortest(value: Any) -> float:
    """Returns a number as the double with the fewest digits that is read back as it: 0.1 for the float32 0.1."""
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def number(value: Any) -> str:
    """Returns a number with six significant digits, without an exponent where it has at most 15 before the point."""
    rounded = f"{float(value):.6g}"
    return f"{float(rounded):.0f}" if "e+" in rounded and abs(float(rounded)) < 1e15 else rounded


def nouns(outputs: Mapping[str, Any]) -> tuple[str, str]:
    """Returns what a model that ranks names ranks, and by what: classes by probability, or items by score."""
    return ("item", "score") if "titles" in outputs else ("class", "probability")


def ranked(outputs: Mapping[str, Any], top_k: int) -> list[tuple[str, float]]:
    """Returns the best `top_k` names with their scores, the best first."""
    names = outputs["titles" if "titles" in outputs else "classes"]
    best = heapq.nlargest(top_k, zip(names, outputs["scores"], strict=True), key=lambda pair: pair[1])
    return [(name.decode() if isinstance(name, bytes) else name, shortest(score)) for name, score in best]


@dataclass(frozen=True)
class Columns:
    """The columns of a table of answers.

    `file` and `row`, from 1, or `text`, say what was asked about; `version` who answered. A number is in `value`.
    Of classes the best is in `class` and `probability`, and each has a column such as `probability_yes`; of items, and
    of more than MAX_CLASS_COLUMNS classes, the best follow each other in `item`, `score`, `item_2`, `score_2` and so
    on. `error` says why a row has no answer.

    Attributes:
        key: Names of the columns that say what was asked about.
        outputs: The signature's outputs: name -> dtype, such as `float32`.
        classes: Names of the classes; empty where there are none, or they are not known.
        top_k: How many of the best are told where not each has a column.
    """

    key: tuple[str, ...]
    outputs: Mapping[str, str]
    classes: tuple[str, ...]
    top_k: int

    @property
    def _each(self) -> tuple[str, ...]:
        """The classes that have a column each."""
        return self.classes if "classes" in self.outputs and len(self.classes) <= MAX_CLASS_COLUMNS else ()

    def _ranks(self) -> list[tuple[str, str]]:
        """Returns the columns of names and scores, of the best ones first."""
        noun, score = nouns(self.outputs)
        ranks = range(1, (1 if self._each else self.top_k) + 1)
        return [(f"{noun}_{rank}", f"{score}_{rank}") if rank > 1 else (noun, score) for rank in ranks]

    def schema(self) -> pa.Schema:
        """Returns the names and types of the columns."""
        types = {"file": pa.string(), "row": pa.int64(), "text": pa.string()}
        fields = {key: types[key] for key in self.key} | {"version": pa.int64()}
        if "outputs" in self.outputs:
            fields["value"] = _number_type(self.outputs["outputs"])
        else:
            score_type = _number_type(self.outputs["scores"])
            for name, score in self._ranks():
                fields |= {name: pa.string(), score: score_type}
            fields |= {f"probability_{name}": score_type for name in self._each}
        return pa.schema([*fields.items(), ("error", pa.string())])

    def batch(self, answers: Answers) -> pa.RecordBatch:
        """Returns the rows of answers."""
        schema = self.schema()
        found = self._of_outputs(answers.outputs) if answers.outputs else {}
        if answers.errors.null_count < len(answers):
            is_answered = answers.errors.is_null().to_numpy(zero_copy_only=False)
            places = pa.array(np.cumsum(is_answered) - 1, mask=~is_answered)
            found = {name: column.take(places) for name, column in found.items()}
        found |= {name: answers.keys.column(name) for name in self.key}
        found |= {"version": answers.versions, "error": answers.errors}
        columns = [
            found[field.name].cast(field.type) if field.name in found else pa.nulls(len(answers), field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _of_outputs(self, outputs: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """Returns the columns of numbers, or of classes or items, of the rows that are answered."""
        if "outputs" in outputs:
            return {"value": pa.array(_floats(outputs["outputs"]))}
        names, scores = outputs["titles" if "titles" in outputs else "classes"], _floats(outputs["scores"])
        columns, found = self._ranks(), {}
        rows, best = np.arange(len(scores)), _best(scores, len(columns))
        for (name, score), places in zip(columns, best.T, strict=False):  # there may be fewer than are told
            texts = pa.array(names[rows, places].tolist()).cast(pa.string())
            is_none = pc.equal(texts, "")  # who had nearly every item gets fewer
            found[name] = pc.if_else(is_none, None, texts)
            found[score] = pc.if_else(is_none, None, pa.array(scores[rows, places]))
        return found | {f"probability_{name}": pa.array(one) for name, one in zip(self._each, scores.T, strict=False)}


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the places of the highest scores of each row, the best first; of equal ones, the first; NaN comes last.

    Args:
        scores: Floats `(rows, names)`.
        count: How many are wanted.

    Returns:
        int64 `(rows, min(count, names))`.
    """
    if count == 1 and scores.shape[1]:
        return np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)[:, None]
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def _floats(values: np.ndarray) -> np.ndarray:
    """Returns float32 and float64 as they are, others by their shortest digits, as `Answer.as_json` has them."""
    if values.dtype in (np.float32, np.float64):
        return values
    return np.array([shortest(value) for value in values.flat], np.float64).reshape(values.shape)


def _number_type(dtype: str) -> pa.DataType:
    return pa.float64() if dtype == "float64" else pa.float32()


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


class _JsonLines:
    """Writes record batches as JSON, an object a row; what is absent is null."""

    def __init__(self, path: Path):
        self._file = path.open("w", encoding="utf-8")

    def write_batch(self, batch: pa.RecordBatch) -> None:
        # By way of text: 0.1 in float32 is 0.10000000149 in JSON's double.
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


class AnswerTable:
    """Writes answers to a file, some thousands at a time.

    Args:
        path: The file; its ending is the format.
        name: How an error calls it.
    """

    def __init__(self, path: Path, name: str):
        self._path, self._name = path, name
        self._batches: list[pa.RecordBatch] = []
        self._schema: pa.Schema | None = None
        self._writer: _Writer | None = None

    def write(self, answers: Answers, columns: Columns) -> None:
        """Writes answers, all with the same columns; raises ConfigError when the file cannot be written."""
        self._schema = self._schema or columns.schema()
        self._batches.append(columns.batch(answers))
        if sum(map(len, self._batches)) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Writes what is left; raises ConfigError when the file cannot be written."""
        self._flush()
        if self._writer is not None:
            with _told(self._name):
                self._writer.close()

    def _flush(self) -> None:
        with _told(self._name):
            if self._writer is None:
                self._writer = WRITERS[self._path.suffix](self._path, self._schema)
            if self._batches:
                for batch in pa.Table.from_batches(self._batches).combine_chunks().to_batches():
                    self._writer.write_batch(batch)
        self._batches = []


@contextlib.contextmanager
def table(path: Path, asked: Sequence[Path] = (), *, force: bool = False) -> Iterator[AnswerTable]:
    """Yields a table of answers that appears whole under its name when the block ends, and not at all after an error.

    Args:
        path: Where; its ending, .csv, .jsonl or .parquet, is the format.
        asked: The files that are asked about, which are not written over.
        force: Whether a file that is there is replaced.

    Raises:
        ConfigError: The file is there, or cannot be written, or its ending is another.
    """
    with _told(str(path)):
        _refuse(path, asked, force)
    with contextlib.ExitStack() as stack:
        with _told(str(path)):
            staging = stack.enter_context(atomic.replacing(path))
            staging.touch()
        written = AnswerTable(staging, str(path))
        yield written
        written.close()
        with _told(str(path)):
            stack.close()


def _refuse(path: Path, asked: Sequence[Path], force: bool) -> None:
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: expected a name that ends with {', '.join(WRITERS)}.")
    if any(path.resolve() == one.resolve() for one in asked):
        raise ConfigError(f"--out {path} is one of the files that are asked about; choose another name.")
    if path.exists() and not (force and path.is_file()):
        fix = ", or --force to write over it" if path.is_file() else ""
        raise ConfigError(f"--out {path} is there already; choose another name{fix}.")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path} cannot be written: there is no folder {path.parent}.")


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"--out {name} cannot be written ({error.strerror or error}).") from None
