"""Rows of a file -> what a model is sent, many at once, by the columns that ingest stores. Loads no TensorFlow."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from data import pictures
from data.columnar import encoding
from data.columnar.columns import Stored, store
from data.kinds.cell import Reading
from data.sources.blocks import Block
from data.sources.folders.listing import readable
from data.spec import DatasetSpec, ImageFeature, Problem
from pipeline.live.batches import Questions, error_column, keys_of_files, keys_of_rows, place

MAX_PROBLEMS = 3  # of one row that are told
MAX_PICTURES = 8  # that are decoded before a model is asked about them; of any size each


def questions(
    block: Block, spec: DatasetSpec, how: Reading, *, column: str | None, file: str | None, before: int = 0
) -> Iterator[Questions]:
    """Yields the questions of all rows of a block, those that cannot be used in their places with an error.

    Args:
        block: Rows as they stand in the file; columns that are no features are left out.
        spec: What they must hold.
        how: How the cells of the file are read.
        column: The one feature that the model is asked about; None where it is sent all as a tf.train.Example.
        file: The file as answers name it; None where each row is a file by itself.
        before: How many of its rows come before the block.
    """
    problems, places = _in_order(block)
    total = len(block) + len(problems)
    row_places = np.delete(np.arange(total), places)
    most = MAX_PICTURES if column is not None and isinstance(spec.features[column], ImageFeature) else total
    for begin in range(0, total, most):
        end = min(begin + most, total)
        first, last = np.searchsorted(row_places, (begin, end)).tolist()
        some = block if last - first == total else block.slice(first, last)
        stored, rows = store(some, spec, how, unused=some.columns), row_places[first:last] - begin
        wrong = {int(rows[row]): found for row, found in stored.problems.items()}
        wrong |= {at - begin: (one,) for at, one in zip(places, problems, strict=True) if begin <= at < end}
        contents = _spread(_contents(stored, spec, column), rows[stored.kept], end - begin)
        if file is None:
            keys = keys_of_files([readable(name) for name in some.names])
        else:
            keys = keys_of_rows(file, before + begin + 1, end - begin)
        asked = Questions(keys, contents, pa.nulls(end - begin, pa.string()), block.share)
        errors = {at: _error(asked.key(at), found) for at, found in wrong.items()}
        yield replace(asked, errors=error_column(errors, end - begin))


def _in_order(block: Block) -> tuple[list[Problem], list[int]]:
    """Returns why rows cannot be used as a whole, in order, and their places among all rows of the block."""
    problems: Sequence[Problem] = block.problems
    before: Sequence[int] = block.rows_before
    if not before:
        problems = sorted(problems, key=lambda problem: problem.number)
        before = np.searchsorted(block.numbers, [problem.number for problem in problems]).tolist()
    return list(problems), [rows + number for number, rows in enumerate(before)]


def _contents(stored: Stored, spec: DatasetSpec, column: str | None) -> pa.Array:
    """Returns what the model is sent for each row that can be used, binary."""
    if column is None:
        return encoding.encode(stored.columns, list(spec.features))
    values, feature = stored.columns.column(column), spec.features[column]
    if not isinstance(feature, ImageFeature):
        return values.fill_null(b"")
    files = stored.files.get(column, pa.nulls(len(values), pa.binary()))
    pairs = zip(values.to_pylist(), files.to_pylist(), strict=True)
    return pa.array([_picture(pixels, file, feature) for pixels, file in pairs], pa.binary())


def _picture(pixels: bytes, file: bytes | None, feature: ImageFeature) -> bytes:
    """Returns a picture as the served signature reads it: PNG and JPEG as they are, others as PNG of their pixels.

    Args:
        pixels: uint8, row by row, of the training size.
        file: The encoded picture that they were made of; None where they came as such.
        feature: The training size.
    """
    from PIL import Image

    if file is not None and pictures.format_of(file) in pictures.SERVED:
        return file
    array = np.frombuffer(pixels, np.uint8).reshape(feature.height, feature.width, feature.channels)
    png = io.BytesIO()
    Image.fromarray(array[..., 0] if feature.channels == 1 else array).save(png, "PNG")
    return png.getvalue()


def _spread(contents: pa.Array, places: np.ndarray, rows: int) -> pa.Array:
    """Returns the contents at their places among so many rows; null elsewhere."""
    if len(contents) == rows:
        return contents
    index, is_there = np.zeros(rows, np.int64), np.zeros(rows, bool)
    index[places], is_there[places] = np.arange(len(places)), True
    return contents.take(pa.array(index, mask=~is_there))


def _error(key: Mapping[str, Any], problems: Sequence[Problem]) -> str:
    """Returns where a row is and what is wrong with it."""
    words = [
        f"{one.column}{': ' * bool(one.column)}expected {one.expected}, found {one.found}"
        for one in problems[:MAX_PROBLEMS]
    ]
    where = place(key, problems[0].number or None)
    return readable(f"{where}{', ' if problems[0].column else ': '}{'; '.join(words)}")
