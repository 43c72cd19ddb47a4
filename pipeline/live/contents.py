"""Converts rows of a file into what a model is sent, by way of the columns that ingest stores. Loads no TensorFlow."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from data import pictures
from data.columnar import encoding
from data.columnar.columns import Stored, store
from data.kinds.cell import ReadOptions
from data.sources.blocks import Block
from data.sources.folders.listing import readable
from data.spec import DatasetSpec, ImageFeature, Problem
from pipeline.live.batches import ExampleBatch, error_column, keys_of_files, keys_of_rows, location

MAX_PROBLEMS = 3  # of one row that its error lists
MAX_PICTURES = 8  # decoded for one batch; each may be of any size


def example_batches(
    block: Block,
    spec: DatasetSpec,
    how: ReadOptions,
    *,
    column: str | None,
    file: str | None,
    before: int = 0,
    ids: pa.Array | None = None,
) -> Iterator[ExampleBatch]:
    """Yields all rows of a block as examples, in order; a row that cannot be used has an error.

    Args:
        block: Rows as they stand in the file; columns that are not features are ignored.
        spec: The features that the model takes.
        how: How the cells of the file are read.
        column: The one feature that the model takes; None where it is sent all features as a tf.train.Example.
        file: Name of the file in keys and errors; None where each row is a file by itself.
        before: Number of rows of the file before the block.
        ids: What identifies each row of the block in its data, string `(rows,)`; None without such a column.
    """
    problems, problem_rows = _problems_by_row(block)
    total = len(block) + len(problems)
    read_rows = np.delete(np.arange(total), problem_rows)
    max_rows = MAX_PICTURES if column is not None and isinstance(spec.features[column], ImageFeature) else total
    for begin in range(0, total, max_rows):
        end = min(begin + max_rows, total)
        first, last = np.searchsorted(read_rows, (begin, end)).tolist()
        part = block if last - first == total else block.slice(first, last)
        stored, rows = store(part, spec, how, unused=part.columns), read_rows[first:last] - begin
        problems_of = {int(rows[index]): row_problems for index, row_problems in stored.problems.items()}
        problems_of |= {
            row - begin: (problem,) for row, problem in zip(problem_rows, problems, strict=True) if begin <= row < end
        }
        contents = _scatter(_contents(stored, spec, column), rows[stored.kept], end - begin)
        if file is None:
            keys = keys_of_files([readable(name) for name in part.names])
        else:
            ids_of_part = None if ids is None else _scatter(ids.slice(first, last - first), rows, end - begin)
            keys = keys_of_rows(file, before + begin + 1, end - begin, ids_of_part)
        batch = ExampleBatch(keys, contents, pa.nulls(end - begin, pa.string()), block.share)
        errors = {row: _error(batch.key(row), row_problems) for row, row_problems in problems_of.items()}
        yield replace(batch, errors=error_column(errors, end - begin))


def _problems_by_row(block: Block) -> tuple[list[Problem], list[int]]:
    """Returns the problems of rows that could not be read, in order, and the index of each such row in the block."""
    problems: Sequence[Problem] = block.problems
    before: Sequence[int] = block.rows_before
    if not before:
        problems = sorted(problems, key=lambda problem: problem.number)
        before = np.searchsorted(block.numbers, [problem.number for problem in problems]).tolist()
    return list(problems), [rows + number for number, rows in enumerate(before)]


def _contents(stored: Stored, spec: DatasetSpec, column: str | None) -> pa.Array:
    """Returns what the model is sent for each row that can be used, binary `(usable rows,)`."""
    if column is None:
        return encoding.encode(stored.columns, list(spec.features))
    values, feature = stored.columns.column(column), spec.features[column]
    if not isinstance(feature, ImageFeature):
        return values.fill_null(b"")
    files = stored.files.get(column, pa.nulls(len(values), pa.binary()))
    pairs = zip(values.to_pylist(), files.to_pylist(), strict=True)
    return pa.array([_picture(pixels, file, feature) for pixels, file in pairs], pa.binary())


def _picture(pixels: bytes, file: bytes | None, feature: ImageFeature) -> bytes:
    """Returns a picture in a format that the signature decodes: PNG and JPEG unchanged, others as PNG of their pixels.

    Args:
        pixels: uint8 `(height, width, channels)` as bytes, of the training size.
        file: The encoded picture that was decoded to `pixels`; None where the data held the pixels.
        feature: The picture feature, with the training size.
    """
    from PIL import Image

    if file is not None and pictures.format_of(file) in pictures.SERVED:
        return file
    array = np.frombuffer(pixels, np.uint8).reshape(feature.height, feature.width, feature.channels)
    png = io.BytesIO()
    Image.fromarray(array[..., 0] if feature.channels == 1 else array).save(png, "PNG")
    return png.getvalue()


def _scatter(contents: pa.Array, indices: np.ndarray, rows: int) -> pa.Array:
    """Returns an array of length `rows` with the contents at their indices and null elsewhere."""
    if len(contents) == rows:
        return contents
    source, is_present = np.zeros(rows, np.int64), np.zeros(rows, bool)
    source[indices], is_present[indices] = np.arange(len(indices)), True
    return contents.take(pa.array(source, mask=~is_present))


def _error(key: Mapping[str, Any], problems: Sequence[Problem]) -> str:
    """Returns the error of a row: its location and its first problems."""
    reasons = [
        f"{problem.column}{': ' * bool(problem.column)}expected {problem.expected}, found {problem.found}"
        for problem in problems[:MAX_PROBLEMS]
    ]
    where = location(key, problems[0].number or None)
    return readable(f"{where}{', ' if problems[0].column else ': '}{'; '.join(reasons)}")
