"""Questions to a published model, many at once: what each is about, what the model is sent, why it cannot be used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

KEYS = pa.schema([("file", pa.string()), ("row", pa.int64()), ("text", pa.string())])


@dataclass(frozen=True)
class Questions:
    """Questions in their order.

    Attributes:
        keys: What each is about, columns of KEYS: `file`, with `row`, from 1, in a table; or `text`. Null for what it
            does not have.
        contents: What the model is sent, binary `(rows,)`; null where that cannot be.
        errors: Where and why a question cannot be used, string `(rows,)`, see `place`; null where it can.
        share: How much of their file, in `Reader.questions` of all files, is read with these, up to 1; 0 where that is
            not known.
    """

    keys: pa.RecordBatch
    contents: pa.Array
    errors: pa.Array
    share: float = 0.0

    def __len__(self) -> int:
        return len(self.contents)

    def slice(self, begin: int, rows: int) -> "Questions":
        """Returns some of the questions, which share their memory."""
        parts = (part.slice(begin, rows) for part in (self.keys, self.contents, self.errors))
        return Questions(*parts, self.share)

    def key(self, row: int) -> dict[str, Any]:
        """Returns what a question is about."""
        return key(self.keys.slice(row, 1).to_pylist()[0])


def keys_of_rows(file: str, first: int, rows: int) -> pa.RecordBatch:
    """Returns the keys of so many rows of a file; `first` is the number of the first."""
    columns = [pa.repeat(pa.scalar(file, pa.string()), rows), pa.array(np.arange(first, first + rows, dtype=np.int64))]
    return pa.RecordBatch.from_arrays([*columns, pa.nulls(rows, pa.string())], schema=KEYS)


def keys_of_files(files: Sequence[str]) -> pa.RecordBatch:
    """Returns the keys of files that are a question each."""
    columns = [pa.array(files, pa.string()), pa.nulls(len(files), pa.int64()), pa.nulls(len(files), pa.string())]
    return pa.RecordBatch.from_arrays(columns, schema=KEYS)


def refused(file: str, error: str) -> Questions:
    """Returns the question of a file that cannot be used as a whole."""
    return Questions(keys_of_files([file]), pa.nulls(1, pa.binary()), error_column({0: error}, 1))


def of_texts(texts: Sequence[str], contents: Sequence[bytes | None], errors: Mapping[int, str]) -> Questions:
    """Returns the questions of texts.

    Args:
        texts: What each is about.
        contents: What the model is sent for each; None where there is an error.
        errors: Place among the questions -> why it cannot be used.
    """
    keys = pa.RecordBatch.from_pylist([{"text": text} for text in texts], KEYS)
    return Questions(keys, pa.array(contents, pa.binary()), error_column(errors, len(texts)))


def error_column(errors: Mapping[int, str], rows: int) -> pa.Array:
    """Returns errors by their places as a column, string `(rows,)`, null for none."""
    if not errors:
        return pa.nulls(rows, pa.string())
    return pa.array([errors.get(row) for row in range(rows)], pa.string())


def batches(parts: Iterator[Questions], max_rows: int, max_bytes: int) -> Iterator[Questions]:
    """Yields the same questions in batches: of at most so many rows, the last of which reaches so many bytes at most.

    No more of the parts is read than the next batch needs.
    """
    held: list[Questions] = []
    rows = size = 0
    for part in parts:
        sizes = pc.binary_length(part.contents).fill_null(0).to_numpy(zero_copy_only=False)
        ends, begin = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), 0
        while begin < len(part):
            full = int(np.searchsorted(ends, ends[begin] + max_bytes - size))
            end = min(max(full, begin + 1), begin + max_rows - rows, len(part))
            held.append(part.slice(begin, end - begin))
            rows, size, begin = rows + end - begin, size + int(ends[end] - ends[begin]), end
            if rows == max_rows or size >= max_bytes:
                yield _joined(held)
                held, rows, size = [], 0, 0
    if held:
        yield _joined(held)


def _joined(parts: Sequence[Questions]) -> Questions:
    if len(parts) == 1:
        return parts[0]
    keys = pa.Table.from_batches([part.keys for part in parts]).combine_chunks().to_batches()[0]
    contents = pa.concat_arrays([part.contents for part in parts])
    return Questions(keys, contents, pa.concat_arrays([part.errors for part in parts]), parts[-1].share)


def key(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a question is about without what it does not have."""
    return {name: value for name, value in keys.items() if value is not None}


def place(key: Mapping[str, Any], line: int | None = None) -> str:
    """Returns in words what a question is about, such as `cars.csv row 3 (line 4)`; a text is told as it is.

    Args:
        key: Of the question.
        line: Where the row begins in its file, from 1; None where that has no lines.
    """
    if "row" not in key:
        return str(key.get("file", key.get("text")))
    apart = f" (line {line})" if line not in (None, key["row"]) else ""
    return f"{key['file']} row {key['row']}{apart}"
