"""Files that a run file names, as a data set."""

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
from data.sources.tables.dialect import other_delimiter
from data.sources.tables.formats import (
    columns_of,
    files_of,
    format_of,
    records,
    refuse_data_as_header,
    refuse_without_effect,
)
from data.sources.tables.kept import blocks
from data.spec import (
    Dataset,
    DatasetSpec,
    Feature,
    ImageFeature,
    LabelFeature,
)

MAX_VALUES = 20
Listed = Callable[[Path], Listing]  # a folder of classes -> its examples


def dataset(config: DataConfig, name: str, base: Path, plan: Mapping[str, Any] | None = None) -> Dataset:
    """Returns the data set of a run file's `data.files`.

    Reads headers and names of folders, no rows.

    Args:
        config: The `data` section; `files` is set.
        name: What to call it: the pipeline's name.
        base: Where relative paths start: the run file's folder.
        plan: What of its splits follows from all rows, see `Dataset.split_plan`; None where that is to be found.

    Raises:
        ConfigError: No file is there, or a feature is not described as it must be.
        DataError: A file's header is not that of the features.
    """
    paths, used = _paths(config, base)
    every = [path for found in paths.values() for path in found]
    kind = format_of(config, every)
    refuse_without_effect(kind, every, config)
    column = class_folders.column_of(kind)
    # Once for all that is asked of it: of 100,000 files it takes half a second.
    listed = functools.cache(
        lambda folder: (
            class_folders.examples(folder, column)
            if kind.endswith("_folder")
            else Listing(folder, files=files_of(folder, kind))
        )
    )
    paths = _without_nested(paths, listed)
    inferred: dict[str, Any] = {}
    if config.label is not None and not kind.endswith("_folder"):
        inferred = _inferred(config, kind, [path for found in paths.values() for path in found])
        config = config.model_copy(update=inferred)
    features = dict(config.features)
    if kind.endswith("_folder"):
        features = class_folders.features(features, paths, base)
    if not features:
        raise ConfigError(
            "data.features is missing; name the columns, such as {age: number, plan: text}, or set data.label."
        )
    spec = DatasetSpec(name=name, title=f"files {config.files}", licence="unknown", features=features)
    for path in (path for found in paths.values() for path in found):
        _check_columns(path, kind, config, spec)
    _check_classes(kind, config, spec, paths["train"][0])
    check_time(config, spec)
    own_plan = functools.cache(lambda: _plan(paths, kind, config, spec))
    return Dataset(
        spec,
        digest=functools.cache(lambda: _digest(paths, listed)),
        trusting_digest=functools.cache(lambda: _digest(paths, listed, trust=True)),
        sources={"files": lambda _: FileRows(paths, kind, config, spec, own_plan if plan is None else lambda: plan)},
        estimate=lambda: _estimate(paths, kind, listed, spec),
        last_change=lambda: _last_change(paths, listed),
        # A table may name pictures, which are files of their own.
        files=functools.cache(
            lambda: [file for found in paths.values() for path in found for file in _files(path, listed)]
        )
        if kind.endswith("_folder") or not spec.of(ImageFeature)
        else None,
        left_out=lambda: class_folders.left_out(map(listed, _folders(paths)), column),
        inferred=inferred,
        split_rule=functools.cache(
            lambda: split_rule(paths, kind, config, spec, lambda: _digest({"test": paths["test"]}, listed, trust=True))
        ),
        split_plan=own_plan,
        columns=functools.cache(lambda: columns_of(paths["train"][0], kind, config)),
        spans=functools.cache(lambda: {name: _digest({"": found}, listed) for name, found in used.items()})
        if used
        else None,
    )


def _plan(paths: Mapping[str, Sequence[Path]], kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns what `Dataset.split_plan` is; unchanged tables are read once."""
    find = functools.partial(find_plan, paths, kind, config, spec)
    if kind.endswith("_folder"):  # whose files are listed, not read
        return find()
    about = f"split plan {kind} {config.model_dump_json()}"
    return file_cache.facts([file for path in paths["train"] for file in files_of(path, kind)], about, find)


def _inferred(config: DataConfig, kind: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Returns `Dataset.inferred`: what else than a label all rows of tables tell; unchanged tables are read once."""
    about = f"{kind} {config.model_dump_json()}"
    files = [file for path in paths for file in files_of(path, kind)]
    found = file_cache.facts(files, about, lambda: _infer(config, kind, paths))
    return {
        "label": None,
        "features": TypeAdapter(dict[str, Feature]).validate_python(found["features"]),
        "ignore": tuple(found["ignore"]),
        "missing_values": tuple(found["missing_values"]),
        **{name: found[name] for name in ("decimal", "thousands") if name in found},
    }


def _infer(config: DataConfig, kind: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Returns the settings that all rows of the tables tell, JSON values.

    `features`, `ignore`, `missing_values`, and `decimal` and `thousands` where numbers are written otherwise.
    """
    for path in paths:
        refuse_data_as_header(path, kind, config)
    columns = facts.survey((block for path in paths for block in blocks(path, kind, config)), config.ignore)
    written = notations.read_as_written(columns)[0]
    label = str(config.label)
    if label not in columns:
        close = difflib.get_close_matches(label, columns, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(columns)[:200]}."
        other = other_delimiter(list(columns)) if kind == "csv" else None
        hint = f"; the cells seem to be separated by {other!r}; set data.delimiter." if other else hint
        raise ConfigError(f"data.label: no column {label!r}{hint}")
    columns[label] = guesses.as_label(columns[label])
    inputs, answer = guesses.guess_all(columns, label)
    if answer.feature is None:
        raise ConfigError(f"data.label: {label} cannot be predicted: {answer.reason}.")
    used = {**guesses.without_texts(inputs), label: answer}
    return {
        "features": {name: guess.feature.model_dump(mode="json") for name, guess in used.items() if guess.feature},
        "ignore": [*config.ignore, *(name for name in columns if name not in used)],
        "missing_values": [*config.missing_values, *guesses.words_for_nothing(columns)],
        **notations.settings_of(written),
    }


def _paths(config: DataConfig, base: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Returns split -> its files, and name of a span -> its files."""
    given: Any = config.files if isinstance(config.files, dict) else {"train": config.files}
    found: dict[str, list[Path]] = {}
    used: dict[str, list[Path]] = {}
    for split, patterns in given.items():
        found[split] = []
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            given = Path(resolve(pattern)).expanduser()
            place = str(base / given)
            if spans.has_words(place):
                for name, paths in _window(place, config).items():
                    used.setdefault(name, []).extend(paths)
                    found[split] += paths
                continue
            # Of the path to the run file no sign is a pattern.
            pattern_of_all = str(given) if given.is_absolute() else f"{glob.escape(str(base))}/{given}"
            matches = sorted(glob.glob(pattern_of_all, recursive=True)) if not Path(place).exists() else [place]
            if not matches:
                raise ConfigError(f"data.files: there is no file {base / pattern}; paths start at the run file.")
            found[split] += [_short(Path(match)) for match in matches]
        # In one order, however they are named: rows keep their places, and a run its bits.
        found[split] = sorted(_once(found[split]), key=lambda path: path.parts)
    if not used and (config.window or config.test_spans):
        raise ConfigError("data.window and data.test_spans are of files in spans; name {SPAN} or a date in data.files.")
    if config.test_spans:
        if isinstance(config.files, dict):
            raise ConfigError("data.test_spans cuts files without splits of their own; name one pattern in data.files.")
        if len(used) <= config.test_spans:
            raise ConfigError(
                f"data.test_spans: of {len(used)} spans {config.test_spans} are for testing; none is left to train on."
            )
        newest = [path for name in list(used)[-config.test_spans :] for path in used[name]]
        found = {"train": [path for path in found["train"] if path not in newest], "test": newest}
    return found, used


def _once(paths: list[Path]) -> list[Path]:
    """Returns the paths without those that lead to the same file as an earlier one, as overlapping patterns do."""
    found: dict[Path, Path] = {}
    for path in paths:
        found.setdefault(path.resolve(), path)
    return list(found.values())


def _without_nested(paths: Mapping[str, Sequence[Path]], listed: Listed) -> dict[str, list[Path]]:
    """Returns the paths without those in a folder that is named, too, and is read with all that they stand for.

    Raises:
        ConfigError: They stand for files that are read for another split, too.
    """
    folders = {path.resolve(): (split, path) for split, found in paths.items() for path in found if path.is_dir()}
    files = functools.cache(lambda path: {file.resolve() for file in _files(path, listed)})
    kept: dict[str, list[Path]] = {split: [] for split in paths}
    for split, path in ((split, path) for split, found in paths.items() for path in found):
        within = [folders[parent] for parent in path.resolve().parents if parent in folders] if folders else []
        twice = [(other, folder) for other, folder in within if files(path) & files(folder)]
        for other, folder in twice:
            if other != split or not files(path) <= files(folder):
                raise ConfigError(
                    f"data.files: {readable(path)}, of {split}, lies in {readable(folder)}, of {other}, and would be "
                    "read twice; name each file once."
                )
        if not twice:
            kept[split].append(path)
    return kept


def _window(place: str, config: DataConfig) -> dict[str, list[Path]]:
    """Returns the spans of a path that a run takes: name -> its files; raises ConfigError where there is none."""
    there = spans.find(place)
    if not there:
        raise ConfigError(f"data.files: there is no file {place} for any span.")
    kept = spans.window(there, config.window)
    return {span.name: [_short(Path(path)) for path in paths] for span, paths in kept.items()}


def _short(path: Path) -> Path:
    """Returns a path as a person would type it from here."""
    path = Path(*path.parts)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) and path != Path.cwd() else path


def _check_columns(path: Path, kind: str, config: DataConfig, spec: DatasetSpec) -> None:
    """Raises DataError when a file's columns are not those of the features; their order does not matter."""
    if kind not in ("csv", "jsonl", "parquet", "xlsx"):
        return
    there = columns_of(path, kind, config)
    wanted = [*spec.features, *(name for name in config.aside if name not in spec.features)]
    extra = [name for name in there if name not in wanted and name not in config.ignore]
    # A JSON object leaves out what a row does not have.
    may_lack = {name for name, feature in spec.features.items() if feature.optional and kind == "jsonl"}
    lacking = [name for name in wanted if name not in there and name not in may_lack]
    lacking = [name for name in lacking if kind != "jsonl" or not _is_in_a_row(name, path, config)]
    roles = {name: role for role, name in config.set_roles.items() if name in lacking and name not in spec.features}
    wrong = headers.missing([name for name in lacking if name not in roles], extra or there)
    wrong += [f"{headers.missing([name], there)[0]}, which is {role}" for name, role in roles.items()]
    wrong += [f"column {name!r} is not among data.features" for name in extra]
    if not wrong:
        return
    first = "mend the file, or data.features and data.ignore"
    if len(roles) == len(wrong):
        first = f"correct {' and '.join(roles.values())}"
    if len(there) == 1 and kind == "csv":
        other = other_delimiter(there)
        first = f"it seems to be separated by {other!r}; set data.delimiter" if other else first
    elif kind == "csv" and not set(there) & set(wanted) and any(notation.is_number(name) for name in there):
        first = "its first row must hold the names of the columns; where it has none, set data.names"
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    where = path if path.is_dir() else f"{path}:1"
    raise DataError(f"{where}: {'; '.join(wrong[:5])}{more}; {first}.")


def _is_in_a_row(role: str, path: Path, config: DataConfig) -> bool:
    """Returns whether a column with a role, which a JSON object may lack, is in another object of the file."""
    return role in config.aside and any(role in record.cells for record in records(path, "jsonl", config))


def _check_classes(kind: str, config: DataConfig, spec: DatasetSpec, path: Path) -> None:
    """Raises ConfigError when a label has no classes, with those of the first rows."""
    for name, feature in spec.features.items():
        if isinstance(feature, LabelFeature) and not feature.classes:
            rows = records(path, kind, config)
            values = {str(record.cells.get(name)) for record, _ in zip(rows, range(10_000), strict=False)}
            listed = f"; its first rows have {', '.join(sorted(values))}" if len(values) <= MAX_VALUES else ""
            raise ConfigError(f"data.features.{name}.classes is missing{listed}.")


def _folders(paths: Mapping[str, Sequence[Path]]) -> list[Path]:
    return [path for found in paths.values() for path in found if path.is_dir()]


def _files(path: Path, listed: Listed) -> list[Path]:
    """Returns what a path stands for: of a folder of classes its examples, of one that is a table its files."""
    return listed(path).files if path.is_dir() else [path]


def _estimate(paths: dict[str, list[Path]], kind: str, listed: Listed, spec: DatasetSpec) -> int:
    """Returns about how many bytes the examples have: images decoded, tables as large as their text."""
    every = [file for found in paths.values() for path in found for file in _files(path, listed)]
    if kind.endswith("_folder"):
        return len(every) * spec.row_bytes()
    packed = 10  # times that text grows when it is unpacked
    is_packed = {path: kind == "xlsx" or archives.is_gzip(path) for path in every}
    tables = [path.stat().st_size * (packed if is_packed[path] else 1) for path in every if path.is_file()]
    zipped = [archives.unpacked_bytes(path) for path in every if path.is_file() and archives.is_zip(path)]
    return 2 * (sum(tables) + sum(zipped))  # an example names its columns


def _last_change(paths: Mapping[str, Sequence[Path]], listed: Listed) -> float:
    """Returns when one of the files was changed last, seconds since 1970.

    By the time of the inode: that of the content is what a copying program sets it to.
    """
    every = [path for found in paths.values() for path in found]
    files = [file for path in every for file in _files(path, listed)]
    return max(path.stat().st_ctime for path in {*every, *files})


def _digest(paths: Mapping[str, Sequence[Path]], listed: Listed, *, trust: bool = False) -> str:
    """Returns the SHA-256 over splits, names and contents of all files; see `file_cache.sha256s`."""
    files = [
        (split, file.relative_to(path.parent), file)
        for split, found in paths.items()
        for path in found
        for file in _files(path, listed)
    ]
    contents = file_cache.sha256s([file for _, _, file in files], trust=trust)
    digest = hashlib.sha256()
    for (split, name, _), content in zip(files, contents, strict=True):
        digest.update(os.fsencode(f"{split}\0{name}\0{content}\n"))  # a name may be no UTF-8
    return f"sha256:{digest.hexdigest()}"
