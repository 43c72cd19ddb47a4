"""What a published model is asked about: pictures, texts and rows of tables, read one after the other."""

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

from data.columnar.columns import reading
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.kinds.cell import Reading, shown, to_list
from data.scripts import listed
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.folders.listing import listing, readable
from data.sources.tables import formats, headers, notation, partitions
from data.sources.tables.dialect import other_delimiter
from data.spec import CategoryFeature, DatasetSpec, Feature, ImageFeature, TextFeature
from pipeline.live import contents
from pipeline.live.batches import Questions, of_texts, place, refused

MAX_NAMES = 10  # of columns that are told
MAX_BYTES = 16 * 2**20  # of files that are read before a model is asked about them; one may be larger
OF_FILES = (class_folders.IMAGE, class_folders.TEXT)  # kinds of questions of which a file may be one
NOUNS = {"image": "picture", "text": "text", "table": "table", "name": "table"}


@dataclass(frozen=True)
class Reader:
    """How files become questions to one published version.

    Attributes:
        name: The pipeline.
        kind: What the version is asked about: see `models.task.FileQuery`.
        inputs: The features that it wants.
        column: The one feature that it is asked about; None where a question is all columns of a table.
        data: How the training data was read, and tables are.
        format: Of the files; auto: each by its ending, else as the training data.
        targets: The columns that the model predicts.
        note: Called with a sentence about what a person may not expect.
    """

    name: str
    kind: str
    inputs: DatasetSpec
    column: str | None
    data: DataConfig
    format: str
    targets: tuple[str, ...]
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
            name: The pipeline.
            query: How the version is asked, of its manifest.
            manifest: The version's.
            given: Settings of `data` in the place of the training data's, such as `delimiter`.
            note: Called with a sentence about what a person may not expect.

        Raises:
            ConfigError: A setting cannot be used.
        """
        kind = query["kind"]
        settings = {**manifest.get("data", {}), **{key: value for key, value in given.items() if key != "format"}}
        if settings.get("decimal", ".") == settings.get("thousands"):
            raise ConfigError("--decimal and --thousands: expected different marks, found the same; give both.")
        data, format_ = DataConfig(files=name, **settings), given.get("format", "auto")
        trained = DatasetSpec.model_validate(manifest["spec"]).features if "spec" in manifest else {}
        targets = tuple(key for key, feature in trained.items() if feature.target)
        if kind == "table":
            column, inputs = None, {key: feature for key, feature in trained.items() if not feature.target}
        else:
            column, feature = _asked_feature(query, trained)
            inputs = {column: feature}
        spec = DatasetSpec(name=name, title=name, licence="", features=inputs)
        return cls(name, kind, spec, column, data, format_, targets, note)

    def questions(self, files: Sequence[Path], texts: Sequence[str], out: Path | None = None) -> Iterator[Questions]:
        """Returns the questions, some at a time, read as they are needed: nothing of a file is kept.

        What is wrong with a row, or with a file as a whole, is a question with an error.

        Args:
            files: Pictures, texts, tables, and folders of those.
            texts: Texts or names.
            out: Where the answers will be: what a folder has there, of an earlier time, is not read.

        Raises:
            ConfigError: At once, where a file cannot be read, or is not what the model takes.
        """
        if texts and self.kind not in ("text", "name"):
            raise ConfigError(f"Models of pipeline {self.name} take files, no texts.")
        if not files and not texts:
            raise ConfigError("Expected files or --text to ask about, found none.")
        sources = [(path, self._format(path)) for given in files for path in self._within(given, out)]
        if not texts:
            return self._of_files(sources)
        return itertools.chain([_of_texts(texts, self.inputs.features[str(self.column)])], self._of_files(sources))

    def _of_files(self, sources: Sequence[tuple[Path, str]]) -> Iterator[Questions]:
        """Yields the questions of files, each with its format, and how much of all is read with them."""
        runs = [run for kind, some in itertools.groupby(sources, itemgetter(1)) for run in _runs(list(some), kind)]
        sizes = [sum(_num_bytes(path, kind) for path in paths) for paths, kind in runs]
        total, before = max(sum(sizes), 1), 0
        for (paths, kind), size in zip(runs, sizes, strict=True):
            for part in self._of_table(paths[0], kind) if kind else self._of_examples(paths):
                yield replace(part, share=(before + part.share * size) / total)
            before += size

    def _within(self, given: Path, out: Path | None) -> list[Path]:
        """Returns the files that a path stands for: itself, or those of a folder that the model can be asked about."""
        if not given.is_dir() or self._is_partitioned(given):
            return [given]
        every = [path for path in files_within(given) if out is None or path.resolve() != out.resolve()]
        kinds = {path: self._table_format(path) for path in every}
        if self.kind in OF_FILES and self.format == "auto":
            is_example = class_folders.is_example(self.kind)
            found = [path for path in every if is_example(path) and not kinds[path]]
        else:
            found = [path for path in every if kinds[path] and self.format in ("auto", kinds[path])]
            formats = sorted({kinds[path] for path in found})
            if len(formats) > 1:
                raise ConfigError(f"{given} has files of {' and '.join(formats)}; choose one with --format.")
        if found and len(found) < len(every):
            self.note(f"{given}: {len(found):,} of {len(every):,} files are read, the others are no {self._noun}s.")
        return found or [given]

    def _is_partitioned(self, path: Path) -> bool:
        """Returns whether a folder is a table with columns of its folders' names, which none of its files has."""
        return self.format in ("auto", "parquet") and path.is_dir() and partitions.is_partitioned(path)

    @property
    def _noun(self) -> str:
        return NOUNS[self.kind]

    def _table_format(self, path: Path) -> str:
        """Returns the format of a table by its ending; empty where that tells none."""
        try:
            return formats.format_of(self.data.model_copy(update={"format": "auto"}), [path])
        except ConfigError:
            return ""
        except DataError:  # as below
            return "csv"

    def _format(self, path: Path) -> str:
        """Returns the format of a file's table; empty where the file is one question."""
        if path.is_dir():
            return "parquet" if self._is_partitioned(path) else ""
        try:
            path.open("rb").close()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
        if self.format != "auto":
            return self.format
        if self.kind in OF_FILES:
            return self._table_format(path)
        try:
            return formats.format_of_questions(path, self.data)
        except DataError:  # a damaged archive: reading it says so, and costs no other file
            return "csv"
        except ConfigError:
            why = "its format cannot be told by its ending; give --format csv, jsonl, parquet, xlsx or tfrecord"
            if self.kind == "name":
                why = f"expected a table with a column of names, or headrace predict {self.name} --text NAME"
            raise ConfigError(f"{path}: {why}.") from None

    def _of_examples(self, paths: Sequence[Path]) -> Iterator[Questions]:
        """Yields the questions of files that are one each."""
        examples: list[tuple[str, bytes]] = []
        for path in paths:
            try:
                if path.is_dir():
                    raise DataError(f"{path} has no {self._noun}s.")
                examples.append((str(path), _content(path)))
            except DataError as error:
                yield from self._together(examples)
                examples = []
                yield _refused(path, error)
            if sum(len(content) for _, content in examples) >= MAX_BYTES:
                yield from self._together(examples)
                examples = []
        yield from self._together(examples)

    def _together(self, examples: Sequence[tuple[str, bytes]]) -> Iterator[Questions]:
        """Yields the questions of files, each its name and what it holds."""
        if examples:
            names, found = zip(*examples, strict=True)
            cells = pa.RecordBatch.from_arrays([pa.array(found, pa.binary())], names=[str(self.column)])
            block = Block("", cells, np.zeros(len(names), np.int64), names=names, share=1.0)
            yield from self._asked(block, reading("", self.data, Path()), None, 0)

    def _of_table(self, path: Path, kind: str) -> Iterator[Questions]:
        """Yields the questions of a table; an error of the file as a whole is the last."""
        try:
            yield from self._rows(path, kind)
        except DataError as error:
            yield _refused(path, error)

    def _rows(self, path: Path, kind: str) -> Iterator[Questions]:
        """Yields the rows of a table; raises DataError where it cannot be read on, or lacks a column."""
        data = formats.for_prediction(path, kind, self.data, self.targets, self.column)
        if kind == "xlsx":  # an error such as #DIV/0! is a problem of the inputs only
            names, inputs = formats.columns_of(path, kind, data), self.inputs.features
            unused = tuple(name for name in names if name not in inputs)
            data = data.model_copy(update={"ignore": unused if len(unused) < len(names) else ()})
        how = reading(kind, self.data, path.parent)
        counts: dict[str, int] = {}
        name, is_told, is_first, may_be_empty = None, False, True, self.column is None
        for block in formats.blocks(path, kind, data):
            if block.columns and not is_told:
                name, is_told = self._column_of(path, kind, block.columns), True
            if is_first and self.column and data.header is False and not self.data.names:
                self._note_first_row(path, block)
            is_first = False
            # Rows of a folder of files are counted in their own.
            file = readable(block.file if path.is_dir() else path)
            before = counts.get(file, 0)
            some = _renamed(block, name, self.column) if name and self.column else block
            for asked in self._asked(some, how, file, before):
                may_be_empty = may_be_empty and not self._note_empty_row(asked)
                yield asked
            counts[file] = before + len(block) + len(block.problems)
        if is_first:
            raise DataError(f"{path} has no rows.")

    def _asked(self, block: Block, how: Reading, file: str | None, before: int) -> Iterator[Questions]:
        return contents.questions(block, self.inputs, how, column=self.column, file=file, before=before)

    def _note_first_row(self, path: Path, block: Block) -> None:
        """Says that the first row of a file without a header is asked about, where it can be used."""
        if len(block) and not any(problem.number < block.number(0) for problem in block.problems):
            cells = block.slice(0, 1).column(str(self.column))
            value = shown(None if cells is None else to_list(cells)[0])
            self.note(
                f"{path}: its first row, {value}, is asked about, too; where it is a header, write {self.column}."
            )

    def _note_empty_row(self, asked: Questions) -> bool:
        """Says which is the first row that has no value in any input; returns whether there is one."""
        row = pc.index(pc.binary_length(asked.contents), 0).as_py()  # of no value are no bytes
        if row >= 0:
            self.note(f"{place(asked.key(row))} has no value in any input; all such rows have one answer.")
        return row >= 0

    def _column_of(self, path: Path, kind: str, columns: Sequence[str]) -> str | None:
        """Returns which column is asked about, None for all; raises DataError, once for the file, where one lacks."""
        if self.column is None:
            self._refuse_missing(path, kind, columns)
            return None
        if self.column in columns:
            return self.column
        if len(columns) == 1:
            self.note(f"{path}: its one column, {columns[0]!r}, is taken for {self.column}.")
            return columns[0]
        found = listed(columns, MAX_NAMES)
        raise DataError(f"{path}: expected a column {self.column}, found {found}; rename the one that is meant.")

    def _refuse_missing(self, path: Path, kind: str, columns: Sequence[str]) -> None:
        wanted = self.inputs.features
        # An object leaves out what a row does not have.
        may_lack = {name for name, feature in wanted.items() if feature.optional and kind in ("jsonl", "tfrecord")}
        missing = [name for name in wanted if name not in columns and name not in may_lack]
        if not missing:
            return
        fix = "add it" if len(missing) == 1 else "add them"
        extra = [name for name in columns if name not in wanted]
        mark = other_delimiter(columns) if kind == "csv" else None
        if mark:
            fix, extra = f"the file seems to be separated by {mark!r}, which --delimiter sets", []
        elif kind == "csv" and not set(columns) & set(wanted) and any(notation.is_number(name) for name in columns):
            fix, extra = "the first row must hold the names of the columns", []
        elif kind == "csv" and self.data.names:
            fix = "name the columns so, or leave the header out where they stand as in the training data"
        told = headers.missing(missing, extra)
        more = f"; and {len(told) - 5} more" if len(told) > 5 else ""
        raise DataError(f"{path}: {'; '.join(told[:5])}{more}; {fix}.")


def files_within(folder: Path) -> list[Path]:
    """Returns the files of a folder and of those in it, sorted; hidden ones are left out, links followed.

    Raises:
        DataError: One of the folders cannot be read.
    """
    found = listing(folder)
    return sorted([*found.beside, *found.files], key=lambda path: path.parts)


def _num_bytes(path: Path, kind: str) -> int:
    """Returns the size of a file, of a folder of a table that of its files; 0 where that cannot be told."""
    try:
        return sum(file.stat().st_size for file in formats.files_of(path, kind))
    except (OSError, DataError):  # which the reader says
        return 0


def _renamed(block: Block, name: str, column: str) -> Block:
    """Returns a block with one of its columns only, under another name."""
    cells = block.column(name)
    if isinstance(cells, list):
        return replace(block, cells=block.cells.select([]), mixed={column: cells})
    arrays = {} if cells is None else {column: cells}
    return replace(block, cells=pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)), mixed={})


def _asked_feature(query: Mapping[str, Any], features: Mapping[str, Any]) -> tuple[str, Any]:
    """Returns the one feature that a version is asked about."""
    if query.get("column") in features:
        return query["column"], features[query["column"]]
    usual: dict[str, Any] = {"image": ImageFeature, "text": TextFeature, "name": CategoryFeature}
    # Versions that were published by hand do not name it.
    found = [(key, one) for key, one in features.items() if isinstance(one, usual[query["kind"]])]
    return found[0] if found else (query["input_key"], usual[query["kind"]]())


def _of_texts(texts: Sequence[str], feature: Feature) -> Questions:
    found: list[bytes | None] = []
    errors = {}
    for place_, text in enumerate(texts):
        found.append(None)
        if not text.strip() and not feature.optional:
            errors[place_] = "expected text, found an empty one"
            continue
        try:
            found[-1] = text.encode()
        except UnicodeEncodeError:
            errors[place_] = f"expected Unicode text, found {readable(text)!r}"
    return of_texts([readable(text) for text in texts], found, errors)


def _refused(path: Path, error: DataError) -> Questions:
    """Returns the question of a file that cannot be used as a whole, or not be read on."""
    message = re.sub(rf"^({re.escape(str(path))}[^:]*):(\d+)", r"\1 line \2", str(error))
    return refused(readable(path), readable(message).removesuffix("."))


def _runs(sources: Sequence[tuple[Path, str]], kind: str) -> Iterator[tuple[list[Path], str]]:
    """Yields files of one format that are read at a time: of those that are one question each some, of tables one."""
    most = 1 if kind else contents.MAX_PICTURES
    for begin in range(0, len(sources), most):
        yield [path for path, _ in sources[begin : begin + most]], kind


def _content(path: Path) -> bytes:
    """Returns what a file holds; raises DataError when it is empty or cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    if not content:
        raise DataError(f"{path} is empty (0 bytes).")
    return content
