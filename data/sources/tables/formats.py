"""Recognises the format of files and folders, and reads their columns, records and blocks with its reader."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from data.config import TABLE_ENDINGS, DataConfig
from data.errors import ConfigError, DataError
from data.sources import archives, tfrecord
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.records import Record
from data.sources.tables import delimited, delimited_blocks, excel, headers, jsonl, jsonl_blocks, parquet, partitions
from data.sources.tables.dialect import Head, Layout, look, of_cells
from data.spec import TextFeature

HEADED_KINDS = ("csv", "xlsx")  # formats whose first row may be a header
SETTINGS_OF = {"sheet": ("xlsx",), "delimiter": ("csv",), "header": HEADED_KINDS, "names": HEADED_KINDS}
"""Setting -> the formats that it applies to."""
WITH_HEADER = {"names": (), "header": True}


def format_of(config: DataConfig, paths: Sequence[Path]) -> str:
    """Returns the format of files and folders; raises ConfigError when it is unknown, or they have several."""
    if config.format != "auto":
        return config.format
    kinds = {}
    has_texts = any(isinstance(feature, TextFeature) for feature in config.features.values())
    class_folder_kind = "text_folder" if has_texts else "image_folder"
    for path in paths:
        folder_kind = "parquet" if path.is_dir() and partitions.is_table(path) else class_folder_kind
        kinds[folder_kind if path.is_dir() else TABLE_ENDINGS.get(_ending(path), "")] = path
    if "" in kinds:
        raise ConfigError(
            f"data.files: the format of {archives.name_of(kinds[''])} cannot be told by its ending; set data.format "
            "to csv, jsonl, parquet, xlsx or tfrecord."
        )
    if len(kinds) > 1:
        raise ConfigError(f"data.files: expected files of one format, found {' and '.join(sorted(kinds))}.")
    return next(iter(kinds))


def refuse_without_effect(kind: str, paths: Sequence[Path], config: DataConfig) -> None:
    """Raises ConfigError for a setting that applies to other formats than `kind` only."""
    for name, kinds in SETTINGS_OF.items():
        value = getattr(config, name)
        if value != DataConfig.model_fields[name].default and kind not in kinds:
            raise ConfigError(
                f"data.{name}: {value!r} would be without effect: it is of {' and '.join(kinds)} files, and data.files "
                f"are {kind}; take it out."
            )
    if kind.endswith("_folder") and config.set_roles:
        setting, column = next(iter(config.set_roles.items()))
        raise ConfigError(
            f"{setting}: data.files are {kind}, which has no column {column!r}; take it out, or name a table with a "
            "column of files."
        )
    if config.delimiter not in (",", "\t") and paths and all(map(is_tsv, paths)):
        raise ConfigError(
            f"data.delimiter: {config.delimiter!r} would be without effect: in files that end with .tsv it is a tab; "
            "take it out, or rename them to .csv."
        )


def files_of(path: Path, kind: str) -> list[Path]:
    """Returns the files of a table: itself, or the files of a folder; raises DataError for a folder without files."""
    return partitions.files(path) if kind == "parquet" and path.is_dir() else [path]


def columns_of(path: Path, kind: str, config: DataConfig) -> list[str]:
    """Returns the names of a file's columns: from its header or the settings, else those of its first row."""
    readers: dict[str, Any] = {"csv": lambda path: delimited.columns(path, layout_of(path, config))}
    readers |= {"xlsx": lambda path: excel.columns(path, layout_of(path, config), config.sheet)}
    readers |= {"jsonl": jsonl.columns, "parquet": _parquet(path).columns}
    return readers[kind](path) if kind in readers else list(next(records(path, kind, config)).cells)


def records(path: Path, kind: str, config: DataConfig) -> Iterator[Record]:
    """Yields the records of a file or folder of this format."""
    if kind == "csv":
        return delimited.read(path, layout_of(path, config))
    if kind == "xlsx":
        return excel.read(path, layout_of(path, config), config.sheet, config.ignore)
    if kind.endswith("_folder"):
        return class_folders.read(path, class_folders.column_of(kind))
    readers: dict[str, Any] = {"jsonl": jsonl, "parquet": _parquet(path), "tfrecord": tfrecord}
    return readers[kind].read(path)


def blocks(path: Path, kind: str, config: DataConfig) -> Iterator[Block]:
    """Yields the rows of a file or folder of this format, in blocks."""
    if kind == "csv":
        return delimited_blocks.read(path, layout_of(path, config))
    if kind == "jsonl":
        return jsonl_blocks.read(path)
    if kind == "xlsx":
        return excel.blocks(path, layout_of(path, config), config.sheet, config.ignore)
    if kind.endswith("_folder"):
        return class_folders.blocks(path, class_folders.column_of(kind))
    return (_parquet(path) if kind == "parquet" else tfrecord).blocks(path)


def _parquet(path: Path) -> Any:
    """Returns the module that reads a Parquet file, or a folder of Parquet files."""
    return partitions if path.is_dir() else parquet


def head_of(path: Path, kind: str, config: DataConfig) -> Head:
    """Returns the first rows of a CSV file or a worksheet, as text."""
    layout = layout_of(path, config)
    return excel.look(path, layout, config.sheet) if kind == "xlsx" else look(path, layout)


def refuse_data_as_header(path: Path, kind: str, config: DataConfig) -> None:
    """Raises DataError when the first row of a file seems to be data, unless the settings say what it is."""
    if kind in HEADED_KINDS and config.header is None and not config.names:
        name, head = archives.name_of(path), head_of(path, kind, config)
        delimited.names_in(name, head, layout_of(path, config))
        verdict, explained = delimited.first_row(name, head)
        if verdict.kind == "data":
            raise DataError(f"{explained}; {delimited.IN_RUN_FILE}.")


def layout_of(path: Path, config: DataConfig) -> Layout:
    """Returns the layout of a CSV file by the settings."""
    return Layout("\t" if is_tsv(path) else config.delimiter, config.names, config.header)


def is_tsv(path: Path) -> bool:
    """Returns whether the name of a file has the ending of tab-separated values."""
    return _ending(path) == ".tsv"


def kept_settings(config: DataConfig, columns: Callable[[], list[str]] | None) -> dict[str, Any]:
    """Returns the settings, JSON values, with which `for_prediction` reads tables for a published model.

    Args:
        config: Settings of the training data; of a data set `Dataset.read_by`.
        columns: Returns the names of its columns; None where it is not a table.
    """
    names = list(config.names) or (columns() if columns and config.header is False else [])
    setting_names = {"format", "delimiter", "header", "missing_values", "decimal", "thousands", "sheet"}
    settings = config.model_dump(mode="json", include=setting_names)
    return settings | {"names": names}


def format_of_questions(path: Path, config: DataConfig) -> str:
    """Returns the format of a table to predict: by its ending, else that of the training data.

    Raises:
        ConfigError: It follows from neither.
    """
    return TABLE_ENDINGS.get(_ending(path)) or format_of(config, [path])


def for_prediction(
    path: Path, kind: str, config: DataConfig, targets: Collection[str], column: str | None = None
) -> DataConfig:
    """Returns the settings for a table to predict: those of the training data, adapted to the table.

    Where the training data had no header, the table may have one, and may lack the columns to be predicted. A table for
    a model with one input column may have a header or none. Below a header, columns are identified by name only.

    Args:
        path: The table.
        kind: Its format.
        config: Settings of the training data, see `kept_settings`; older model versions have fewer.
        targets: The columns to be predicted.
        column: The only input column of the model; None where it has several.

    Raises:
        DataError: The number of cells in its rows is neither that of the training data, nor that without targets.
    """
    if kind not in HEADED_KINDS:
        return config
    if kind == "xlsx" and config.sheet and len(excel.sheets(path)) == 1:
        config = config.model_copy(update={"sheet": None})
    head = head_of(path, kind, config.model_copy(update={"names": ()}))
    inputs = tuple(name for name in config.names if name not in targets)
    width = len(head.rows[0][1]) if head.rows else 0
    if config.names and width not in (len(inputs), len(config.names)):
        width -= 1  # for a comma at the end of the lines
    first, rows_below = delimited.first_and_below(head, width)
    if column is not None and len(first) == 1:
        return config.model_copy(update=_one_column_settings(column, config, first[0], rows_below))
    if not first or not config.names:
        return config
    header = _header(first, rows_below, config, inputs)
    if header:
        # The reader of headers reports a name that occurs twice.
        are_different = len(set(header)) == len(header)
        return config.model_copy(update={"names": header, "header": None} if are_different else WITH_HEADER)
    if len(first) == len(inputs):
        return config.model_copy(update={"names": inputs})
    if len(first) != len(config.names):
        raise DataError(
            f"{archives.name_of(path)}:{head.first_line}: expected {of_cells(len(inputs))} ({', '.join(inputs[:8])}"
            f"{', ...' if len(inputs) > 8 else ''}) or a header with these names, found {of_cells(len(first))}."
        )
    return config


def _header(
    first: Sequence[str], rows_below: Sequence[Sequence[str]], config: DataConfig, inputs: Sequence[str]
) -> tuple[str, ...]:
    """Returns the names in the first row, spelled as in the training data; empty where it is a row of data."""
    cells = headers.resolved(first, config.names)
    header_cells, *rows = [
        ["" if cell in config.missing_values else cell for cell in row] for row in (cells, *rows_below)
    ]
    has_all = len(inputs) > 1 and set(inputs) <= set(cells)
    is_header = has_all or headers.holds(config.names, cells, rows) or headers.judge(header_cells, rows).is_certain
    return tuple(cells) if is_header else ()


def _one_column_settings(
    column: str, config: DataConfig, first: str, rows_below: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Returns the settings for a table of one column, with or without a header."""
    if headers.resolved([first], [column]) == [column]:
        return {"names": (column,), "header": None}
    is_other_column = headers.resolved([first], config.names)[0] in config.names
    if is_other_column or headers.is_name_of_texts(first, [row[0] for row in rows_below if len(row) == 1]):
        return WITH_HEADER
    return {"names": (column,), "header": False}


def _ending(path: Path) -> str:
    """Returns the ending that decides the format, in lower case; that of the table within a `.gz` or `.zip` file."""
    name = PurePath(archives.name_of(path))
    return (name.with_suffix("") if archives.is_gzip(name) else name).suffix.lower()
