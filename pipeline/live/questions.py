"""What a published model is asked about: pictures, texts and rows of tables, read one after the other."""

import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data import pictures
from data.columnar.columns import reading, to_row
from data.columnar.encoded_records import encoded
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.kinds.cell import Reading, shown
from data.kinds.image import content_of
from data.scripts import listed
from data.sources.folders import classes as class_folders
from data.sources.folders.listing import listing, readable
from data.sources.records import Record
from data.sources.tables import formats, headers, notation, partitions
from data.sources.tables.dialect import other_delimiter
from data.spec import BadRow, CategoryFeature, DatasetSpec, Feature, ImageFeature, LocatedRow, TextFeature

PEEK_ROWS = 1000  # whose cells tell which columns a file has; a JSON object may lack some
MAX_PROBLEMS = 3  # of one row that are told
MAX_NAMES = 10  # of columns that are told
OF_FILES = (class_folders.IMAGE, class_folders.TEXT)  # kinds of questions of which a file may be one
NOUNS = {"image": "picture", "text": "text", "table": "table", "name": "table"}


@dataclass(frozen=True)
class Question:
    """One thing that a model is asked about.

    Attributes:
        key: What it is: `file`, with `row`, from 1, in a table; or `text`.
        content: What the model is sent; empty where that cannot be.
        error: Where and why it cannot be used, see `place`; empty where it can.
    """

    key: dict[str, Any]
    content: bytes = b""
    error: str = ""


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

    def questions(self, files: Sequence[Path], texts: Sequence[str], out: Path | None = None) -> Iterator[Question]:
        """Returns the questions, read as they are needed: nothing of a file is kept.

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
        return itertools.chain(
            (_of_text(text, self.inputs.features[str(self.column)]) for text in texts),
            (question for path, kind in sources for question in self._of_file(path, kind)),
        )

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

    def _of_file(self, path: Path, kind: str) -> Iterator[Question]:
        """Yields the questions of a file; an error of the file as a whole is the last."""
        key = {"file": readable(path)}
        try:
            if kind:
                yield from self._rows(path, kind)
            elif path.is_dir():
                raise DataError(f"{path} has no {self._noun}s.")
            else:
                yield self._question(key, _file_record(path, self.column or ""), reading(kind, self.data, path.parent))
        except DataError as error:
            told = re.sub(rf"^({re.escape(str(path))}[^:]*):(\d+)", r"\1 line \2", str(error))
            yield Question(key, error=readable(told).removesuffix("."))

    def _rows(self, path: Path, kind: str) -> Iterator[Question]:
        """Yields the rows of a table; raises DataError where it cannot be read on, or lacks a column."""
        data = formats.for_prediction(path, kind, self.data, self.targets, self.column)
        if kind == "xlsx":  # an error such as #DIV/0! is a problem of the inputs only
            names, inputs = formats.columns_of(path, kind, data), self.inputs.features
            unused = tuple(name for name in names if name not in inputs)
            data = data.model_copy(update={"ignore": unused if len(unused) < len(names) else ()})
        records = formats.records(path, kind, data)
        first, broken = _peeked(records)
        if not first:
            raise broken or DataError(f"{path} has no rows.")
        columns = list(dict.fromkeys(name for record in first if not record.problem for name in record.cells))
        if not columns and kind == "csv":  # in another notation than the training table no row has as many cells
            columns = formats.columns_of(path, kind, data)
        renamed = self._column_of(path, kind, columns) if columns else None
        if self.column and data.header is False and not self.data.names and not first[0].problem:
            value = shown(first[0].cells.get(self.column))
            self.note(
                f"{path}: its first row, {value}, is asked about, too; where it is a header, write {self.column}."
            )
        how, is_told = reading(kind, self.data, path.parent), self.column is not None
        may_be_empty, file = how.of(optional=True), "" if path.is_dir() else readable(path)
        some, number = first, 0
        while some:
            if renamed is not None:
                some = [_renamed(record, renamed, str(self.column)) for record in some]
            keys = [_key(file, record, row) for row, record in enumerate(some, start=number + 1)]
            for record, question in zip(some, self._asked(keys, some, how), strict=True):
                if not is_told and not record.problem and self._is_empty(record, may_be_empty):
                    is_told = True
                    self.note(f"{place(question.key)} has no value in any input; all such rows have one answer.")
                yield question
            number += len(some)
            # A text may be long: of those one is held at a time.
            some, broken = ([], broken) if broken else _peeked(records, PEEK_ROWS if self.column is None else 1)
        if broken:
            raise broken

    def _asked(self, keys: Sequence[dict[str, Any]], records: Sequence[Record], how: Reading) -> Iterator[Question]:
        """Returns the question of each record; of a table's rows all at once."""
        if self.column is not None:
            return map(self._question, keys, records, itertools.repeat(how))
        contents = encoded(records, self.inputs, how)
        return (
            self._question(key, record, how) if content is None else Question(key, content)
            for key, record, content in zip(keys, records, contents, strict=True)
        )

    def _is_empty(self, record: Record, how: Reading) -> bool:
        """Returns whether a row has none of the inputs, by how optional ones are read."""
        return all(how.is_absent(record.cells.get(name)) for name in self.inputs.features)

    def _question(self, key: dict[str, Any], record: Record, how: Reading) -> Question:
        unused = record.cells.keys() - self.inputs.features.keys()
        row = to_row(record, self.inputs, how, unused=unused)
        if isinstance(row, BadRow):
            return Question(key, error=readable(_reason(key, record, row)))
        return Question(key, self._content(row, record, how.folder))

    def _content(self, row: LocatedRow, record: Record, folder: Path) -> bytes:
        """Returns what the model is sent for a row."""
        column = str(self.column)
        if self.kind == "image":
            return _picture(row[column], content_of(record.cells[column], folder) or b"")
        return row.get(column, "").encode()

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


def _reason(key: Mapping[str, Any], record: Record, row: BadRow) -> str:
    """Returns where a row is and what is wrong with it."""
    problems = row.problems[:MAX_PROBLEMS]
    told = [f"{one.column}{': ' * bool(one.column)}expected {one.expected}, found {one.found}" for one in problems]
    return f"{place(key, record.number or None)}{', ' if problems[0].column else ': '}{'; '.join(told)}"


def files_within(folder: Path) -> list[Path]:
    """Returns the files of a folder and of those in it, sorted; hidden ones are left out, links followed.

    Raises:
        DataError: One of the folders cannot be read.
    """
    found = listing(folder)
    return sorted([*found.beside, *found.files], key=lambda path: path.parts)


def _key(file: str, record: Record, number: int) -> dict[str, Any]:
    """Returns the key of a row: its number in the table, of a folder of files (no `file`) in its own file."""
    if file:
        return {"file": file, "row": number}
    return {"file": readable(record.where.removesuffix(f":{record.number}")), "row": record.number}


def _renamed(record: Record, name: str, column: str) -> Record:
    """Returns a record with one column only, under another name."""
    return replace(record, cells={column: record.cells[name]}) if name in record.cells else record


def _peeked(records: Iterator[Record], count: int = PEEK_ROWS) -> tuple[list[Record], DataError | None]:
    """Returns the next records, and why there are no more where the file breaks off."""
    first: list[Record] = []
    try:
        first.extend(itertools.islice(records, count))
    except DataError as error:
        return first, error
    return first, None


def _asked_feature(query: Mapping[str, Any], features: Mapping[str, Any]) -> tuple[str, Any]:
    """Returns the one feature that a version is asked about."""
    if query.get("column") in features:
        return query["column"], features[query["column"]]
    usual: dict[str, Any] = {"image": ImageFeature, "text": TextFeature, "name": CategoryFeature}
    # Versions that were published by hand do not name it.
    found = [(key, one) for key, one in features.items() if isinstance(one, usual[query["kind"]])]
    return found[0] if found else (query["input_key"], usual[query["kind"]]())


def _of_text(text: str, feature: Feature) -> Question:
    if not text.strip() and not feature.optional:
        return Question({"text": text}, error="expected text, found an empty one")
    try:
        return Question({"text": text}, text.encode())
    except UnicodeEncodeError:
        return Question({"text": readable(text)}, error=f"expected Unicode text, found {readable(text)!r}")


def _file_record(path: Path, column: str) -> Record:
    """Returns a whole file as the one cell of a record; raises DataError when it is empty or cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    if not content:
        raise DataError(f"{path} is empty (0 bytes).")
    return Record(str(path), {column: content})


def _picture(pixels: Any, content: bytes) -> bytes:
    """Returns a picture as the served signature reads it: PNG and JPEG as they are, others as PNG of their pixels.

    Args:
        pixels: uint8 `(height, width, channels)`, of the training size.
        content: The file.
    """
    from PIL import Image

    if pictures.format_of(content) in pictures.SERVED:
        return content
    png = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(png, "PNG")
    return png.getvalue()
