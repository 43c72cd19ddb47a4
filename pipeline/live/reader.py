"""Reads pictures, texts and rows of tables as examples for a published model, in batches."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.columnar import role_columns
from data.columnar.columns import read_options
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.kinds.cell import ReadOptions, shown, to_list
from data.scripts import listed
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.folders.listing import listing, readable
from data.sources.tables import formats, headers, notation, partitions
from data.sources.tables.dialect import other_delimiter
from data.spec import CategoryFeature, DatasetSpec, Feature, ImageFeature, TextFeature
from pipeline.live import contents
from pipeline.live.batches import ExampleBatch, batch_of_texts, location, unusable_file

MAX_NAMES = 10  # of columns that an error lists
MAX_BYTES = 16 * 2**20  # of files that are read for one batch; a single file may be larger
FILE_KINDS = (class_folders.IMAGE, class_folders.TEXT)  # kinds of models for which a file may be one example
NOUNS = {"image": "picture", "text": "text", "table": "table", "name": "table"}


@dataclass(frozen=True)
class Reader:
    """Reads files as examples for one published version.

    Attributes:
        name: Name of the pipeline.
        kind: Kind of the model's input, see `models.task.FileQuery`.
        inputs: Spec of the input features.
        column: The one input feature; None where an example is all columns of a table.
        data: Settings by which the training data was read; tables are read by them, too.
        format: Format of the files; `auto`: that of each file's ending, else that of the training data.
        unneeded: Columns of the training data that a table need not have: targets and weights.
        id_column: Column that identifies a row; None without one.
        note: Called with a sentence about what a person may not expect.
    """

    name: str
    kind: str
    inputs: DatasetSpec
    column: str | None
    data: DataConfig
    format: str
    unneeded: tuple[str, ...]
    id_column: str | None
    note: Callable[[str], None]

    @classmethod
    def of(
        cls,
        name: str,
        query: Mapping[str, Any],
        manifest: Mapping[str, Any],
        given: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> "Reader":
        """Returns the reader for a version.

        Args:
            name: Name of the pipeline.
            query: Kind, signature, input and column of the version.
            manifest: Manifest of the version.
            given: Settings of `data` that replace those of the training data, such as `delimiter`.
            note: Called with a sentence about what a person may not expect.

        Raises:
            ConfigError: A setting cannot be used.
        """
        kind = query["kind"]
        settings = {**manifest.get("data", {}), **{key: value for key, value in given.items() if key != "format"}}
        if settings.get("decimal", ".") == settings.get("thousands"):
            raise ConfigError("--decimal and --thousands: expected different marks, found the same; give both.")
        data, format_ = DataConfig(files=name, **settings), given.get("format", "auto")
        trained_on = DatasetSpec.model_validate(manifest["spec"]) if "spec" in manifest else None
        trained = trained_on.features if trained_on else {}
        unneeded = (*trained_on.targets(), *filter(None, [trained_on.weight_column])) if trained_on else ()
        id_column = trained_on.id_column if trained_on else None
        if kind == "table":
            column, inputs = None, {key: feature for key, feature in trained.items() if not feature.target}
        else:
            column, feature = _input_feature(query, trained)
            inputs = {column: feature}
        spec = DatasetSpec(name=name, title=name, licence="", features=inputs)
        return cls(name, kind, spec, column, data, format_, unneeded, id_column, note)

    def read(self, files: Sequence[Path], texts: Sequence[str], out: Path | None = None) -> Iterator[ExampleBatch]:
        """Returns an iterator over the examples, in batches that are read as they are needed.

        A row, or a whole file, that cannot be used is an example with an error.

        Args:
            files: Pictures, texts, tables, and folders of those.
            texts: Texts or names.
            out: The file to which the predictions will be written; it is skipped in a folder of files.

        Raises:
            ConfigError: A file cannot be read, or is not what the model takes; raised before anything is read.
        """
        if texts and self.kind not in ("text", "name"):
            raise ConfigError(f"Models of pipeline {self.name} take files, no texts.")
        if not files and not texts:
            raise ConfigError("Expected files or --text to predict, found none.")
        sources = [(file, self._format(file)) for path in files for file in self._files_of(path, out)]
        if not texts:
            return self._read_sources(sources)
        return itertools.chain(
            [_read_texts(texts, self.inputs.features[str(self.column)])], self._read_sources(sources)
        )

    def _read_sources(self, sources: Sequence[tuple[Path, str]]) -> Iterator[ExampleBatch]:
        """Yields the examples of files, each given with its format; empty for a file that is one example."""
        runs = [run for kind, group in itertools.groupby(sources, itemgetter(1)) for run in _runs(list(group), kind)]
        sizes = [sum(_num_bytes(path, kind) for path in paths) for paths, kind in runs]
        total, before = max(sum(sizes), 1), 0
        for (paths, kind), size in zip(runs, sizes, strict=True):
            for part in self._read_table(paths[0], kind) if kind else self._read_examples(paths):
                yield replace(part, share=(before + part.share * size) / total)
            before += size

    def _files_of(self, given: Path, out: Path | None) -> list[Path]:
        """Returns the files of a path: the path itself, or the files of a folder that the model can take."""
        if not given.is_dir() or self._is_partitioned(given):
            return [given]
        files = [path for path in files_within(given) if out is None or path.resolve() != out.resolve()]
        table_formats = {path: self._table_format(path) for path in files}
        if self.kind in FILE_KINDS and self.format == "auto":
            is_example = class_folders.is_example(self.kind)
            usable = [path for path in files if is_example(path) and not table_formats[path]]
        else:
            usable = [path for path in files if table_formats[path] and self.format in ("auto", table_formats[path])]
            different = sorted({table_formats[path] for path in usable})
            if len(different) > 1:
                raise ConfigError(f"{given} has files of {' and '.join(different)}; choose one with --format.")
        if usable and len(usable) < len(files):
            self.note(f"{given}: {len(usable):,} of {len(files):,} files are read, the others are not {self._noun}s.")
        return usable or [given]

    def _is_partitioned(self, path: Path) -> bool:
        """Returns whether a path is a folder of Parquet files that is partitioned by columns, as `plan=basic/`."""
        return self.format in ("auto", "parquet") and path.is_dir() and partitions.is_partitioned(path)

    @property
    def _noun(self) -> str:
        return NOUNS[self.kind]

    def _table_format(self, path: Path) -> str:
        """Returns the format of a table by its ending; empty where that is unknown."""
        try:
            return formats.format_of(self.data.model_copy(update={"format": "auto"}), [path])
        except ConfigError:
            return ""
        except DataError:  # a damaged archive, as in _format
            return "csv"

    def _format(self, path: Path) -> str:
        """Returns the format of a table; empty where the file is one example."""
        if path.is_dir():
            return "parquet" if self._is_partitioned(path) else ""
        try:
            path.open("rb").close()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
        if self.format != "auto":
            return self.format
        if self.kind in FILE_KINDS:
            return self._table_format(path)
        try:
            return formats.format_of_questions(path, self.data)
        except DataError:  # a damaged archive: its error comes when it is read, and other files are used
            return "csv"
        except ConfigError:
            reason = "its format cannot be told by its ending; give --format csv, jsonl, parquet, xlsx or tfrecord"
            if self.kind == "name":
                reason = f"expected a table with a column of names, or headrace predict {self.name} --text NAME"
            raise ConfigError(f"{path}: {reason}.") from None

    def _read_examples(self, paths: Sequence[Path]) -> Iterator[ExampleBatch]:
        """Yields the examples of files that are one example each."""
        examples: list[tuple[str, bytes]] = []
        for path in paths:
            try:
                if path.is_dir():
                    raise DataError(f"{path} has no {self._noun}s.")
                examples.append((str(path), _content(path)))
            except DataError as error:
                yield from self._batch_of_files(examples)
                examples = []
                yield _unusable_file(path, error)
            if sum(len(content) for _, content in examples) >= MAX_BYTES:
                yield from self._batch_of_files(examples)
                examples = []
        yield from self._batch_of_files(examples)

    def _batch_of_files(self, examples: Sequence[tuple[str, bytes]]) -> Iterator[ExampleBatch]:
        """Yields the examples of files, given by name and content."""
        if examples:
            names, file_contents = zip(*examples, strict=True)
            cells = pa.RecordBatch.from_arrays([pa.array(file_contents, pa.binary())], names=[str(self.column)])
            block = Block("", cells, np.zeros(len(names), np.int64), names=names, share=1.0)
            yield from self._convert(block, read_options("", self.data, Path()), None, 0)

    def _read_table(self, path: Path, kind: str) -> Iterator[ExampleBatch]:
        """Yields the rows of a table; an error of the whole file is the last example."""
        try:
            yield from self._read_rows(path, kind)
        except DataError as error:
            yield _unusable_file(path, error)

    def _read_rows(self, path: Path, kind: str) -> Iterator[ExampleBatch]:
        """Yields the rows of a table; raises DataError where the rest cannot be read, or a column is missing."""
        data = formats.for_prediction(path, kind, self.data, self.unneeded, self.column)
        if kind == "xlsx":  # an error such as #DIV/0! matters in input columns only
            names, inputs = formats.columns_of(path, kind, data), {*self.inputs.features, self.id_column}
            unused = tuple(name for name in names if name not in inputs)
            data = data.model_copy(update={"ignore": unused if len(unused) < len(names) else ()})
        how = read_options(kind, self.data, path.parent)
        counts: dict[str, int] = {}
        name, is_checked, is_first, may_be_empty = None, False, True, self.column is None
        for block in formats.blocks(path, kind, data):
            if block.columns and not is_checked:
                name, is_checked = self._column_of(path, kind, block.columns), True
            if is_first and self.column and data.header is False and not self.data.names:
                self._note_first_row(path, block)
            is_first = False
            # In a folder of files rows are counted in each file.
            file = readable(block.file if path.is_dir() else path)
            before = counts.get(file, 0)
            renamed = _renamed(block, name, self.column) if name and self.column else block
            for batch in self._convert(renamed, how, file, before, self._ids(block)):
                may_be_empty = may_be_empty and not self._note_empty_row(batch)
                yield batch
            counts[file] = before + len(block) + len(block.problems)
        if is_first:
            raise DataError(f"{path} has no rows.")

    def _convert(
        self, block: Block, how: ReadOptions, file: str | None, before: int, ids: pa.Array | None = None
    ) -> Iterator[ExampleBatch]:
        return contents.example_batches(block, self.inputs, how, column=self.column, file=file, before=before, ids=ids)

    def _ids(self, block: Block) -> pa.Array | None:
        """Returns what identifies each row, string `(rows,)`, null for none; None without the column."""
        cells = block.column(self.id_column) if self.id_column else None
        return None if cells is None else role_columns.texts(cells, self.data.missing_values)

    def _note_first_row(self, path: Path, block: Block) -> None:
        """Notes that the first row of a file without a header is predicted, where it can be used."""
        if len(block) and not any(problem.number < block.number(0) for problem in block.problems):
            cells = block.slice(0, 1).column(str(self.column))
            value = shown(None if cells is None else to_list(cells)[0])
            self.note(f"{path}: its first row, {value}, is predicted, too; where it is a header, write {self.column}.")

    def _note_empty_row(self, batch: ExampleBatch) -> bool:
        """Notes the first row of a batch without a value in any input; returns whether there is one."""
        row = pc.index(pc.binary_length(batch.contents), 0).as_py()  # without a value the serialized example is empty
        if row >= 0:
            self.note(f"{location(batch.key(row))} has no value in any input; all such rows have the same prediction.")
        return row >= 0

    def _column_of(self, path: Path, kind: str, columns: Sequence[str]) -> str | None:
        """Returns the column that holds the input, None for all columns; raises DataError where a column is missing."""
        if self.column is None:
            self._check_columns(path, kind, columns)
            return None
        if self.column in columns:
            return self.column
        if len(columns) == 1:
            self.note(f"{path}: its one column, {columns[0]!r}, is taken for {self.column}.")
            return columns[0]
        present = listed(columns, MAX_NAMES)
        raise DataError(f"{path}: expected a column {self.column}, found {present}; rename the one that is meant.")

    def _check_columns(self, path: Path, kind: str, columns: Sequence[str]) -> None:
        """Raises DataError for input columns that a table does not have."""
        expected = self.inputs.features
        # A JSON object and a tf.train.Example leave out missing values.
        may_be_missing = {
            name for name, feature in expected.items() if feature.optional and kind in ("jsonl", "tfrecord")
        }
        missing = [name for name in expected if name not in columns and name not in may_be_missing]
        if not missing:
            return
        fix = "add it" if len(missing) == 1 else "add them"
        extra = [name for name in columns if name not in expected]
        delimiter = other_delimiter(columns) if kind == "csv" else None
        if delimiter:
            fix, extra = f"the file seems to be separated by {delimiter!r}, which --delimiter sets", []
        elif kind == "csv" and not set(columns) & set(expected) and any(notation.is_number(name) for name in columns):
            fix, extra = "the first row must hold the names of the columns", []
        elif kind == "csv" and self.data.names:
            fix = "name the columns so, or leave the header out where they stand as in the training data"
        reasons = headers.missing(missing, extra)
        more = f"; and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        raise DataError(f"{path}: {'; '.join(reasons[:5])}{more}; {fix}.")


def files_within(folder: Path) -> list[Path]:
    """Returns the files of a folder and its subfolders, sorted; hidden ones are left out, links followed.

    Raises:
        DataError: One of the folders cannot be read.
    """
    entries = listing(folder)
    return sorted([*entries.beside, *entries.files], key=lambda path: path.parts)


def _num_bytes(path: Path, kind: str) -> int:
    """Returns the size in bytes of a file, or of the files of a table that is a folder; 0 where it is not known."""
    try:
        return sum(file.stat().st_size for file in formats.files_of(path, kind))
    except (OSError, DataError):  # reported when the file is read
        return 0


def _renamed(block: Block, name: str, column: str) -> Block:
    """Returns a block with only the column `name`, renamed to `column`."""
    cells = block.column(name)
    if isinstance(cells, list):
        return replace(block, cells=block.cells.select([]), mixed={column: cells})
    arrays = {} if cells is None else {column: cells}
    return replace(block, cells=pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)), mixed={})


def _input_feature(query: Mapping[str, Any], features: Mapping[str, Any]) -> tuple[str, Any]:
    """Returns name and kind of the one input feature of a version."""
    if query.get("column") in features:
        return query["column"], features[query["column"]]
    kinds: dict[str, Any] = {"image": ImageFeature, "text": TextFeature, "name": CategoryFeature}
    # Manifests of versions that were published by hand do not name the column.
    candidates = [(key, feature) for key, feature in features.items() if isinstance(feature, kinds[query["kind"]])]
    return candidates[0] if candidates else (query["input_key"], kinds[query["kind"]]())


def _read_texts(texts: Sequence[str], feature: Feature) -> ExampleBatch:
    """Returns the batch of texts of the command line."""
    encoded: list[bytes | None] = []
    errors = {}
    for index, text in enumerate(texts):
        encoded.append(None)
        if not text.strip() and not feature.optional:
            errors[index] = "expected text, found an empty one"
            continue
        try:
            encoded[-1] = text.encode()
        except UnicodeEncodeError:
            errors[index] = f"expected Unicode text, found {readable(text)!r}"
    return batch_of_texts([readable(text) for text in texts], encoded, errors)


def _unusable_file(path: Path, error: DataError) -> ExampleBatch:
    """Returns the error of a file, or of its rest, as a batch of one row."""
    message = re.sub(rf"^({re.escape(str(path))}[^:]*):(\d+)", r"\1 line \2", str(error))
    return unusable_file(readable(path), readable(message).removesuffix("."))


def _runs(sources: Sequence[tuple[Path, str]], kind: str) -> Iterator[tuple[list[Path], str]]:
    """Yields the files that are read at once, with their format: several that are one example each, or one table."""
    max_files = 1 if kind else contents.MAX_PICTURES
    for begin in range(0, len(sources), max_files):
        yield [path for path, _ in sources[begin : begin + max_files]], kind


def _content(path: Path) -> bytes:
    """Returns the bytes of a file; raises DataError when it is empty or cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    if not content:
        raise DataError(f"{path} is empty (0 bytes).")
    return content
