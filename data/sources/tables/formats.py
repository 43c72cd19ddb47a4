"""Which reader a file or folder wants, and its columns and records."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.config import DataConfig
from data.errors import ConfigError
from data.sources import image_folder, text_folder, tfrecord
from data.sources.records import Record
from data.sources.tables import delimited, jsonl, parquet
from data.spec import TextFeature

ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
    ".tfrecord": "tfrecord", ".tfrecords": "tfrecord",
}  # fmt: skip


def format_of(config: DataConfig, paths: Sequence[Path]) -> str:
    """Returns the format of files and folders; raises ConfigError when it cannot be told, or they differ."""
    if config.format != "auto":
        return config.format
    kinds = {}
    texts = any(isinstance(feature, TextFeature) for feature in config.features.values())
    folders = "text_folder" if texts else "image_folder"
    for path in paths:
        suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
        kinds[folders if path.is_dir() else ENDINGS.get(suffixes[-1] if suffixes else "", "")] = path
    if "" in kinds:
        raise ConfigError(
            f"data.files: the format of {kinds['']} cannot be told by its ending; set data.format to csv, jsonl, "
            "parquet or tfrecord."
        )
    if len(kinds) > 1:
        raise ConfigError(f"data.files: expected files of one format, found {' and '.join(sorted(kinds))}.")
    return next(iter(kinds))


def columns_of(path: Path, kind: str, config: DataConfig) -> list[str]:
    """Returns the names of a file's columns: of its header, else of its first row."""
    headers: dict[str, Any] = {"csv": lambda path: delimited.columns(path, _delimiter(path, config))}
    headers |= {"jsonl": jsonl.columns, "parquet": parquet.columns}
    return headers[kind](path) if kind in headers else list(next(records(path, kind, config)).cells)


def records(path: Path, kind: str, config: DataConfig) -> Iterator[Record]:
    """Yields the records of a file or folder of this format."""
    if kind == "csv":
        return delimited.read(path, _delimiter(path, config))
    readers: dict[str, Any] = {"jsonl": jsonl, "parquet": parquet, "tfrecord": tfrecord}
    readers |= {"image_folder": image_folder, "text_folder": text_folder}
    return readers[kind].read(path)


def _delimiter(path: Path, config: DataConfig) -> str:
    return "\t" if ".tsv" in path.suffixes else config.delimiter
