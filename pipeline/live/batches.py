"""Batches of examples to predict: which row, file or text each is, what the model is sent, why it is unusable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

KEYS = pa.schema([("file", pa.string()), ("row", pa.int64()), ("text", pa.string()), ("id", pa.string())])


@dataclass(frozen=True)
class ExampleBatch:
    """Examples to predict, in the order in which they were given.

    Attributes:
        keys: Which example each row is, columns of KEYS: `file`, with `row`, from 1, in a table, and `id` where that
            has the column data.roles.id; or `text`. A column that does not apply is null.
        contents: What the model is sent, binary `(rows,)`; null where the example cannot be used.
        errors: Location of an example that cannot be used and the reason, string `(rows,)`, see `location`; null where
            it can be used.
        share: Fraction of the bytes of the file that is read at the end of this batch, from 0 to 1, in `Reader.read`
            that of all files; 0 where it is not known.
    """

    keys: pa.RecordBatch
    contents: pa.Array
    errors: pa.Array
    share: float = 0.0

    def __len__(self) -> int:
        return len(self.contents)

    def slice(self, begin: int, rows: int) -> "ExampleBatch":
        """Returns the examples from row `begin` on, `rows` at most, without copying them."""
        parts = (part.slice(begin, rows) for part in (self.keys, self.contents, self.errors))
        return ExampleBatch(*parts, self.share)

    def key(self, row: int) -> dict[str, Any]:
        """Returns the key of an example without its nulls."""
        return without_nulls(self.keys.slice(row, 1).to_pylist()[0])


def keys_of_rows(file: str, first: int, rows: int, ids: pa.Array | None = None) -> pa.RecordBatch:
    """Returns the keys of `rows` rows of a file; `first` is the number of the first, from 1, `ids` string `(rows,)`."""
    columns = [pa.repeat(pa.scalar(file, pa.string()), rows), pa.array(np.arange(first, first + rows, dtype=np.int64))]
    nulls = pa.nulls(rows, pa.string())
    return pa.RecordBatch.from_arrays([*columns, nulls, nulls if ids is None else ids], schema=KEYS)


def keys_of_files(files: Sequence[str]) -> pa.RecordBatch:
    """Returns the keys of files that are one example each."""
    columns = [pa.array(files, pa.string()), *(pa.nulls(len(files), field.type) for field in list(KEYS)[1:])]
    return pa.RecordBatch.from_arrays(columns, schema=KEYS)


def unusable_file(file: str, error: str) -> ExampleBatch:
    """Returns a batch with one row: the error of a file that cannot be used as a whole."""
    return ExampleBatch(keys_of_files([file]), pa.nulls(1, pa.binary()), error_column({0: error}, 1))


def batch_of_texts(texts: Sequence[str], contents: Sequence[bytes | None], errors: Mapping[int, str]) -> ExampleBatch:
    """Returns a batch of texts.

    Args:
        texts: The texts as they are shown.
        contents: What the model is sent for each; None where there is an error.
        errors: Index of a text, from 0 -> why it cannot be used.
    """
    keys = pa.RecordBatch.from_pylist([{"text": text} for text in texts], KEYS)
    return ExampleBatch(keys, pa.array(contents, pa.binary()), error_column(errors, len(texts)))


def error_column(errors: Mapping[int, str], rows: int) -> pa.Array:
    """Returns errors by row, from 0, as a column, string `(rows,)`; null where there is no error."""
    if not errors:
        return pa.nulls(rows, pa.string())
    return pa.array([errors.get(row) for row in range(rows)], pa.string())


def rebatch(parts: Iterator[ExampleBatch], max_rows: int, max_bytes: int) -> Iterator[ExampleBatch]:
    """Yields the same examples in batches that end at `max_rows` rows, or with the row that reaches `max_bytes`.

    No more of `parts` is read than the next batch needs.
    """
    pending: list[ExampleBatch] = []
    rows = size = 0
    for part in parts:
        sizes = pc.binary_length(part.contents).fill_null(0).to_numpy(zero_copy_only=False)
        ends, begin = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), 0
        while begin < len(part):
            full = int(np.searchsorted(ends, ends[begin] + max_bytes - size))
            end = min(max(full, begin + 1), begin + max_rows - rows, len(part))
            pending.append(part.slice(begin, end - begin))
            rows, size, begin = rows + end - begin, size + int(ends[end] - ends[begin]), end
            if rows == max_rows or size >= max_bytes:
                yield _joined(pending)
                pending, rows, size = [], 0, 0
    if pending:
        yield _joined(pending)


def _joined(parts: Sequence[ExampleBatch]) -> ExampleBatch:
    if len(parts) == 1:
        return parts[0]
    keys = pa.Table.from_batches([part.keys for part in parts]).combine_chunks().to_batches()[0]
    contents = pa.concat_arrays([part.contents for part in parts])
    return ExampleBatch(keys, contents, pa.concat_arrays([part.errors for part in parts]), parts[-1].share)


def without_nulls(key: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of a key that are not null."""
    return {name: value for name, value in key.items() if value is not None}


def location(key: Mapping[str, Any], line: int | None = None) -> str:
    """Returns where an example is, for messages, such as `cars.csv row 3 (line 4)`; the text itself of a text.

    Args:
        key: Key of the example, without nulls.
        line: Line of the file at which the row begins, from 1; None where the file has no lines.
    """
    if "row" not in key:
        return str(key.get("file", key.get("text")))
    in_file = f" (line {line})" if line not in (None, key["row"]) else ""
    return f"{key['file']} row {key['row']}{in_file}"
