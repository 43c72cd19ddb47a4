"""Builds a data set from the files that a run file names."""

import difflib
import functools
import glob
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from data.columnar.file_rows import FileRows, find_plan, split_rule
from data.columnar.split_plan import check_time
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.files import file_cache, spans
from data.inference import facts, guesses, notations
from data.secrets import resolve
from data.sources import archives
from data.sources.folders import classes as class_folders
from data.sources.folders.listing import Listing, readable
from data.sources.tables import headers, notation
from data.sources.tables.block_cache import blocks
from data.sources.tables.dialect import other_delimiter
from data.sources.tables.formats import (
    columns_of,
    files_of,
    format_of,
    records,
    refuse_data_as_header,
    refuse_without_effect,
)
from data.spec import (
    WEIGHT,
    Dataset,
    DatasetSpec,
    Feature,
    ImageFeature,
    LabelFeature,
)

MAX_VALUES = 20  # values of a label without classes that the message lists
ListFolder = Callable[[Path], Listing]  # folder -> listing of its files


def dataset(config: DataConfig, name: str, base: Path, plan: Mapping[str, Any] | None = None) -> Dataset:
    """Returns the data set of a run file's `data.files`.

    Reads headers and names of folders, no rows.

    Args:
        config: The `data` section; `files` is set.
        name: Name of the data set: that of the pipeline.
        base: Where relative paths start: the run file's folder.
        plan: The split plan of an earlier reading, see `Dataset.split_plan`; None: it is computed when it is needed.

    Raises:
        ConfigError: There is no file, or the settings do not describe the features.
        DataError: The columns of a file are not those of the features.
    """
    paths, span_paths = _paths(config, base)
    all_paths = [path for split_paths in paths.values() for path in split_paths]
    kind = format_of(config, all_paths)
    refuse_without_effect(kind, all_paths, config)
    column = class_folders.column_of(kind)
    # Cached: listing 100,000 files takes half a second.
    list_folder = functools.cache(
        lambda folder: (
            class_folders.examples(folder, column)
            if kind.endswith("_folder")
            else Listing(folder, files=files_of(folder, kind))
        )
    )
    paths = _without_nested(paths, list_folder)
    inferred: dict[str, Any] = {}
    if config.label is not None and not kind.endswith("_folder"):
        inferred = _inferred(config, kind, [path for split_paths in paths.values() for path in split_paths])
        config = config.model_copy(update=inferred)
    features = dict(config.features)
    if kind.endswith("_folder"):
        features = class_folders.features(features, paths, base)
    if not features:
        raise ConfigError(
            "data.features is missing; name the columns, such as {age: number, plan: text}, or set data.label."
        )
    if config.roles.weight and WEIGHT in features:
        raise ConfigError(f"data.roles.weight: rename column {WEIGHT}; stored rows have their weights by this name.")
    spec = DatasetSpec(
        name=name,
        title=f"files {config.files}",
        licence="unknown",
        features=features,
        id_column=config.roles.id,
        weight_column=config.roles.weight,
    )
    for path in (path for split_paths in paths.values() for path in split_paths):
        _check_columns(path, kind, config, spec)
    _check_classes(kind, config, spec, paths["train"][0])
    check_time(config, spec)
    own_plan = functools.cache(lambda: _plan(paths, kind, config, spec))
    return Dataset(
        spec,
        digest=functools.cache(lambda: _digest(paths, list_folder)),
        trusting_digest=functools.cache(lambda: _digest(paths, list_folder, trust=True)),
        sources={"files": lambda _: FileRows(paths, kind, config, spec, own_plan if plan is None else lambda: plan)},
        estimate=lambda: _estimate(paths, kind, list_folder, spec),
        last_change=lambda: _last_change(paths, list_folder),
        # A table may name pictures, which are files of their own.
        files=functools.cache(
            lambda: [
                file for split_paths in paths.values() for path in split_paths for file in _files(path, list_folder)
            ]
        )
        if kind.endswith("_folder") or not spec.of(ImageFeature)
        else None,
        left_out=lambda: class_folders.left_out(map(list_folder, _folders(paths)), column),
        inferred=inferred,
        split_rule=functools.cache(
            lambda: split_rule(
                paths, kind, config, spec, lambda: _digest({"test": paths["test"]}, list_folder, trust=True)
            )
        ),
        split_plan=own_plan,
        columns=functools.cache(lambda: columns_of(paths["train"][0], kind, config)),
        spans=functools.cache(
            lambda: {name: _digest({"": paths_of_span}, list_folder) for name, paths_of_span in span_paths.items()}
        )
        if span_paths
        else None,
    )


def _plan(paths: Mapping[str, Sequence[Path]], kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns `Dataset.split_plan`; tables that are unchanged since the last call are not read again."""
    compute_plan = functools.partial(find_plan, paths, kind, config, spec)
    if kind.endswith("_folder"):  # its classes are names of folders: no file is read
        return compute_plan()
    about = f"split plan {kind} {config.model_dump_json()}"
    return file_cache.facts([file for path in paths["train"] for file in files_of(path, kind)], about, compute_plan)


def _inferred(config: DataConfig, kind: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Returns `Dataset.inferred`, for a label without features; tables that are unchanged are not read again."""
    about = f"{kind} {config.model_dump_json()}"
    files = [file for path in paths for file in files_of(path, kind)]
    settings = file_cache.facts(files, about, lambda: _infer(config, kind, paths))
    return {
        "label": None,
        "features": TypeAdapter(dict[str, Feature]).validate_python(settings["features"]),
        "ignore": tuple(settings["ignore"]),
        "missing_values": tuple(settings["missing_values"]),
        **{name: settings[name] for name in ("decimal", "thousands") if name in settings},
    }


def _infer(config: DataConfig, kind: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Returns the settings inferred from all rows of the tables, JSON values.

    `features`, `ignore`, `missing_values`, and `decimal` and `thousands` where they differ from the defaults.
    """
    for path in paths:
        refuse_data_as_header(path, kind, config)
    no_inputs = (*config.ignore, *config.no_inputs.values())
    columns = facts.survey((block for path in paths for block in blocks(path, kind, config)), no_inputs)
    table_notation = notations.apply_notation(columns)[0]
    label = str(config.label)
    if label not in columns:
        close = difflib.get_close_matches(label, columns, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(columns)[:200]}."
        delimiter = other_delimiter(list(columns)) if kind == "csv" else None
        hint = f"; the cells seem to be separated by {delimiter!r}; set data.delimiter." if delimiter else hint
        raise ConfigError(f"data.label: no column {label!r}{hint}")
    columns[label] = guesses.as_label(columns[label])
    inputs, target = guesses.guess_all(columns, label)
    if target.feature is None:
        raise ConfigError(f"data.label: {label} cannot be predicted: {target.reason}.")
    used = {**guesses.for_tables(inputs), label: target}
    return {
        "features": {name: guess.feature.model_dump(mode="json") for name, guess in used.items() if guess.feature},
        "ignore": [*config.ignore, *(name for name in columns if name not in used)],
        "missing_values": [*config.missing_values, *guesses.missing_markers(columns)],
        **notations.settings_of(table_notation),
    }


def _paths(config: DataConfig, base: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Returns split -> its paths, and name of a span -> its paths."""
    patterns_by_split: Any = config.files if isinstance(config.files, dict) else {"train": config.files}
    paths: dict[str, list[Path]] = {}
    span_paths: dict[str, list[Path]] = {}
    for split, patterns in patterns_by_split.items():
        paths[split] = []
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            given_path = Path(resolve(pattern)).expanduser()
            absolute_path = str(base / given_path)
            if spans.has_placeholders(absolute_path):
                for name, paths_of_span in _window(absolute_path, config).items():
                    span_paths.setdefault(name, []).extend(paths_of_span)
                    paths[split] += paths_of_span
                continue
            # The path of the run file's folder may hold `*` or `?` as letters: it is escaped.
            glob_pattern = str(given_path) if given_path.is_absolute() else f"{glob.escape(str(base))}/{given_path}"
            matches = (
                sorted(glob.glob(glob_pattern, recursive=True)) if not Path(absolute_path).exists() else [absolute_path]
            )
            if not matches:
                raise ConfigError(f"data.files: there is no file {base / pattern}; paths start at the run file.")
            paths[split] += [_short(Path(match)) for match in matches]
        # Sorted: the order of rows, and so the bits of a run, do not depend on how the settings name the files.
        paths[split] = sorted(_unique(paths[split]), key=lambda path: path.parts)
    if not span_paths and (config.window or config.test_spans):
        raise ConfigError("data.window and data.test_spans are of files in spans; name {SPAN} or a date in data.files.")
    if config.test_spans:
        if isinstance(config.files, dict):
            raise ConfigError("data.test_spans cuts files without splits of their own; name one pattern in data.files.")
        if len(span_paths) <= config.test_spans:
            raise ConfigError(
                f"data.test_spans: of {len(span_paths)} spans {config.test_spans} are for testing; none is left to "
                "train on."
            )
        newest = [path for name in list(span_paths)[-config.test_spans :] for path in span_paths[name]]
        paths = {"train": [path for path in paths["train"] if path not in newest], "test": newest}
    return paths, span_paths


def _unique(paths: list[Path]) -> list[Path]:
    """Returns the paths, each file once; overlapping patterns may name one twice, and the first path stays."""
    by_target: dict[Path, Path] = {}
    for path in paths:
        by_target.setdefault(path.resolve(), path)
    return list(by_target.values())


def _without_nested(paths: Mapping[str, Sequence[Path]], list_folder: ListFolder) -> dict[str, list[Path]]:
    """Returns the paths without those in a folder that is named as well, whose files are read with that folder.

    Raises:
        ConfigError: A file would be read for two splits.
    """
    folders = {
        path.resolve(): (split, path) for split, split_paths in paths.items() for path in split_paths if path.is_dir()
    }
    files = functools.cache(lambda path: {file.resolve() for file in _files(path, list_folder)})
    kept: dict[str, list[Path]] = {split: [] for split in paths}
    for split, path in ((split, path) for split, split_paths in paths.items() for path in split_paths):
        parents = [folders[parent] for parent in path.resolve().parents if parent in folders] if folders else []
        read_twice = [(other_split, folder) for other_split, folder in parents if files(path) & files(folder)]
        for other_split, folder in read_twice:
            if other_split != split or not files(path) <= files(folder):
                raise ConfigError(
                    f"data.files: {readable(path)}, of {split}, lies in {readable(folder)}, of {other_split}, and "
                    "would be read twice; name each file once."
                )
        if not read_twice:
            kept[split].append(path)
    return kept


def _window(path_pattern: str, config: DataConfig) -> dict[str, list[Path]]:
    """Returns the spans of a path that a run uses: name -> its paths; raises ConfigError where there is none."""
    span_paths = spans.find(path_pattern)
    if not span_paths:
        raise ConfigError(f"data.files: there is no file {path_pattern} for any span.")
    used = spans.window(span_paths, config.window)
    return {span.name: [_short(Path(path)) for path in paths] for span, paths in used.items()}


def _short(path: Path) -> Path:
    """Returns a path relative to the working directory where it lies in it."""
    path = Path(*path.parts)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) and path != Path.cwd() else path


def _check_columns(path: Path, kind: str, config: DataConfig, spec: DatasetSpec) -> None:
    """Raises DataError when a file's columns are not those of the features; their order does not matter."""
    if kind not in ("csv", "jsonl", "parquet", "xlsx"):
        return
    columns = columns_of(path, kind, config)
    expected = [*spec.features, *(name for name in config.role_columns if name not in spec.features)]
    extra = [name for name in columns if name not in expected and name not in config.ignore]
    # A JSON object may leave out columns without a value.
    optional_columns = {name for name, feature in spec.features.items() if feature.optional and kind == "jsonl"}
    missing = [name for name in expected if name not in columns and name not in optional_columns]
    missing = [name for name in missing if kind != "jsonl" or not _is_in_any_row(name, path, config)]
    roles = {name: role for role, name in config.set_roles.items() if name in missing and name not in spec.features}
    problems = headers.missing([name for name in missing if name not in roles], extra or columns)
    problems += [f"{headers.missing([name], columns)[0]}, which is {role}" for name, role in roles.items()]
    problems += [f"column {name!r} is not among data.features" for name in extra]
    if not problems:
        return
    fix = "mend the file, or data.features and data.ignore"
    if len(roles) == len(problems):
        fix = f"correct {' and '.join(roles.values())}"
    if len(columns) == 1 and kind == "csv":
        delimiter = other_delimiter(columns)
        fix = f"it seems to be separated by {delimiter!r}; set data.delimiter" if delimiter else fix
    elif kind == "csv" and not set(columns) & set(expected) and any(notation.is_number(name) for name in columns):
        fix = "its first row must hold the names of the columns; where it has none, set data.names"
    omitted = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    where = path if path.is_dir() else f"{path}:1"
    raise DataError(f"{where}: {'; '.join(problems[:5])}{omitted}; {fix}.")


def _is_in_any_row(role: str, path: Path, config: DataConfig) -> bool:
    """Returns whether any JSON object of the file has this column, if it has a role: single objects may lack it."""
    return role in config.role_columns and any(role in record.cells for record in records(path, "jsonl", config))


def _check_classes(kind: str, config: DataConfig, spec: DatasetSpec, path: Path) -> None:
    """Raises ConfigError, which lists the values of the first rows, when a label has no classes."""
    for name, feature in spec.features.items():
        if isinstance(feature, LabelFeature) and not feature.classes:
            rows = records(path, kind, config)
            values = {str(record.cells.get(name)) for record, _ in zip(rows, range(10_000), strict=False)}
            examples_of_values = (
                f"; its first rows have {', '.join(sorted(values))}" if len(values) <= MAX_VALUES else ""
            )
            raise ConfigError(f"data.features.{name}.classes is missing{examples_of_values}.")


def _folders(paths: Mapping[str, Sequence[Path]]) -> list[Path]:
    return [path for split_paths in paths.values() for path in split_paths if path.is_dir()]


def _files(path: Path, list_folder: ListFolder) -> list[Path]:
    """Returns the files of a path: itself; for a folder, its examples or the files of its table."""
    return list_folder(path).files if path.is_dir() else [path]


def _estimate(paths: dict[str, list[Path]], kind: str, list_folder: ListFolder, spec: DatasetSpec) -> int:
    """Returns the approximate size of the stored examples in bytes: of decoded images, or twice the text of tables."""
    files = [file for split_paths in paths.values() for path in split_paths for file in _files(path, list_folder)]
    if kind.endswith("_folder"):
        return len(files) * spec.row_bytes()
    compression_ratio = 10  # of text, about
    is_packed = {path: kind == "xlsx" or archives.is_gzip(path) for path in files}
    table_bytes = [
        path.stat().st_size * (compression_ratio if is_packed[path] else 1) for path in files if path.is_file()
    ]
    unpacked_bytes = [archives.unpacked_bytes(path) for path in files if path.is_file() and archives.is_zip(path)]
    return 2 * (sum(table_bytes) + sum(unpacked_bytes))  # an example holds the names of its columns as well


def _last_change(paths: Mapping[str, Sequence[Path]], list_folder: ListFolder) -> float:
    """Returns the time of the last change of any of the files, in seconds since 1970.

    It is the ctime: a program that copies a file may set its mtime to any value.
    """
    all_paths = [path for split_paths in paths.values() for path in split_paths]
    files = [file for path in all_paths for file in _files(path, list_folder)]
    return max(path.stat().st_ctime for path in {*all_paths, *files})


def _digest(paths: Mapping[str, Sequence[Path]], list_folder: ListFolder, *, trust: bool = False) -> str:
    """Returns the SHA-256 over splits, names and contents of all files; see `file_cache.sha256s`."""
    files = [
        (split, file.relative_to(path.parent), file)
        for split, split_paths in paths.items()
        for path in split_paths
        for file in _files(path, list_folder)
    ]
    contents = file_cache.sha256s([file for _, _, file in files], trust=trust)
    digest = hashlib.sha256()
    for (split, name, _), content in zip(files, contents, strict=True):
        digest.update(os.fsencode(f"{split}\0{name}\0{content}\n"))  # a name may not be UTF-8
    return f"sha256:{digest.hexdigest()}"
