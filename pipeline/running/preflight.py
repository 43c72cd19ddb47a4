"""What is checked before any work: cheap, and without TensorFlow."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from typing import Any

import psutil
from threadpoolctl import threadpool_limits

from components.live_model.comparable import LiveModel, obstacle
from data import loading
from data.checks.rows import RowChecks
from data.errors import ConfigError
from data.files import file_cache
from data.kinds.cell import shown
from data.scripts import isolated, listed
from data.secrets import hide
from data.spec import SPLITS, LabelFeature
from models import progress
from pipeline.core import environment
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths
from pipeline.history import database
from pipeline.running import ownership

MIB = 2**20
SHOWN = 5  # names
MAX_CLASSES = 10  # that `headrace check` counts, the most frequent
# Models, event files and ML Metadata of a run; measured on digits and Fashion-MNIST: 3 to 20 MiB.
BASE_MIB = 100
# Activations and gradients of a small network for one float32 input, in inputs.
INPUTS_PER_STEP = 200
BYTES_PER_BYTE = 4  # of a stored row, as the model takes it: a pixel is float32 then


def check(named: NamedConfig, paths: PipelinePaths, *, take_over: bool = False) -> None:
    """Raises ConfigError when the run cannot come to its end on this machine as it is.

    Args:
        named: The run file.
        paths: Where state goes.
        take_over: Whether the name may have been another run file's so far.
    """
    _check_links(paths)
    _check_writable(paths)
    if not take_over:
        ownership.check(named, paths)
    _check_live(named, paths)
    _check_disk(named, paths)
    _check_memory(named)
    database.check(paths)


def notes() -> list[str]:
    """Returns what a person should know before a run, a line each: what the environment has set."""
    found = environment.line()
    return [f"environment: {found}"] if found else []


def renamed_inputs(named: NamedConfig) -> list[str]:
    """Returns, in a line, which columns the served signature `columns` takes under another name; none without any."""
    names = named.config.model.input_names(named.dataset.spec)
    other = [f"{shown(column)} as {key}" for column, key in names.items() if key != column]
    more = f", and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    return [f"served signature columns takes {', '.join(other[:SHOWN])}{more}"] if other else []


def read_everything(named: NamedConfig) -> dict[str, Any]:
    """Reads all rows as ingest does, and returns what there is: `splits`, each with `rows` and `classes`, and `notes`.

    What was found to be fit, by the same settings and code, is not read again while no file of it has changed: see
    `data.files.file_cache`.

    Raises:
        DataError: The data is not fit to be trained on.
    """
    dataset, data = named.dataset, named.config.data
    if dataset.files is None:
        found = _found(named)
    else:
        files = dataset.files()
        # By the names of the files too, which notes have and which tell class and split.
        about = ["rows", named.name, data.model_dump_json(), dataset.spec.model_dump_json(), *map(str, files)]
        found = file_cache.facts(files, json.dumps(about), lambda: _found(named))
    classes = {split: Counter(counts) for split, counts in found["classes"].items()}
    splits = {
        split: {"rows": found["rows"][split], "classes": dict(classes[split].most_common(MAX_CLASSES))}
        for split in SPLITS
    }
    notes = [*dataset.notes(), *found["notes"], *_absent_classes(named, classes), *_single_rows(named, classes)]
    return {"splits": splits, "notes": notes}


def _found(named: NamedConfig) -> dict[str, Any]:
    """Returns what the checks of all rows come to: rows and classes by split, and notes; JSON values."""
    spec, data = named.dataset.spec, named.config.data
    labels = [name for name, feature in spec.features.items() if isinstance(feature, LabelFeature)]
    checks = RowChecks(data.row_checks, spec, data.cut_shares, data.group or "")
    rows = 0
    with threadpool_limits(1, user_api="blas"):  # as at ingest
        for batch in loading.open_batches(named.dataset, data):
            checks.add(batch)
            rows += len(batch)
            progress.report(rows=rows, share=batch.share)
    checks.judge()
    dropped = checks.dropped()
    kept: dict[str, int] = {}
    classes: dict[str, dict[str, int]] = {}
    for split, state in checks.splits.items():
        kept[split] = state.rows - int(dropped[split].sum() if split in dropped else 0)
        classes[split] = {
            spec.features[name].classes[index]: int(count)
            for name in labels
            for index, count in state.labels[name].items()
            if count
        }
    return {"rows": kept, "classes": classes, "notes": list(map(hide, checks.notes))}


def _absent_classes(named: NamedConfig, counts: Mapping[str, Counter[str]]) -> list[str]:
    """Returns, a sentence for each split, which classes none of its rows has, and what follows.

    Args:
        named: The run file.
        counts: Split -> how many rows have each class, of all labels.
    """
    said, cut = [], named.config.data.cut_shares
    every = [name for feature in named.dataset.spec.of(LabelFeature).values() for name in feature.classes]
    for split, found in counts.items():
        absent = [name for name in every if name not in found]
        if not absent:
            continue
        names = listed([isolated(name) for name in absent], SHOWN)
        follows = "cannot be learned" if split == "train" else "cannot be measured"
        most = max(sum(of_split.get(name, 0) for of_split in counts.values()) for name in absent)
        remedy = f"add rows to split {split}, or take out what is no class"
        if split in cut and most < len(SPLITS):  # whatever the shares are
            remedy = f"add rows, at least one of a class for each of {len(SPLITS)} splits, or take out what is no class"
        elif split in cut:
            remedy = f"add rows, or raise data.splits.{split}"
        verb = "has" if len(absent) == 1 else "have"
        said.append(
            f"{len(absent):,} of {len(every):,} classes {verb} no row in {split} ({names}): "
            f"{'it' if len(absent) == 1 else 'they'} {follows}; {remedy}"
        )
    return said


def _single_rows(named: NamedConfig, counts: Mapping[str, Counter[str]]) -> list[str]:
    """Returns, a sentence for each split that measures, which classes only one of its rows has, and what follows.

    Args:
        named: The run file.
        counts: Split -> how many rows have each class, of all labels.
    """
    notes, cut = [], named.config.data.cut_shares
    for split in SPLITS[1:]:
        single = [isolated(name) for name, count in counts[split].items() if count == 1]
        if single:
            remedy = f"add rows, or raise data.splits.{split}" if split in cut else f"add rows to split {split}"
            verb, whose = ("class has", "its") if len(single) == 1 else ("classes have", "their")
            notes.append(
                f"{len(single):,} {verb} only 1 row in {split} ({listed(single, SHOWN)}): "
                f"{whose} recall, F1 and AUC say next to nothing; {remedy}"
            )
    return notes


def _check_links(paths: PipelinePaths) -> None:
    """Raises ConfigError where a copy of a home would write into the original through a link."""
    for folder in (paths.artifacts, *paths.artifacts.glob("*"), *paths.artifacts.glob("*/*")):
        for owner in folder.resolve().parents if folder.is_symlink() else ():
            if owner != paths.runs and (owner / paths.database.name).exists():
                raise ConfigError(
                    f"{folder} is a link into {owner}, which another database knows; put a copy of what it holds in "
                    "its place, or remove it."
                )


def _check_writable(paths: PipelinePaths) -> None:
    """Raises ConfigError where a run could not write: in the home, or a file or folder of another user's run in it."""
    kept = (paths.logs, paths.reports, paths.artifacts, paths.execution_records, paths.checkpoints, paths.profiles)
    for path in (*kept, paths.database, paths.lock, paths.tensorboard, paths.serving):
        there = next(place for place in (path, *path.parents) if place.exists())
        needed = os.W_OK | os.X_OK if there.is_dir() or there != path else os.W_OK
        if not os.access(there, needed):
            raise ConfigError(
                f"{there} cannot be written to; run `chmod u+w {there}`, mount its file system for writing, or choose "
                "another home with --home or HEADRACE_HOME."
            )


def _check_live(named: NamedConfig, paths: PipelinePaths) -> None:
    """Raises ConfigError where the model could not be held against the live version when it is trained."""
    asked = named.config.evaluate
    live = None if asked.against_live == "never" else LiveModel.of(paths.serving)
    if live is None:
        return
    is_compared = bool(asked.thresholds) or asked.challenge != "off"
    why_not = obstacle(live, named.config.task, named.dataset, compared=is_compared)
    if why_not:
        raise ConfigError(f"{named.name}: {why_not}")


def _check_disk(named: NamedConfig, paths: PipelinePaths) -> None:
    needed = named.dataset.num_bytes() / MIB + BASE_MIB
    there = next(folder for folder in (paths.runs, *paths.runs.parents) if folder.exists())
    free = shutil.disk_usage(there).free / MIB
    if free < needed:
        raise ConfigError(
            f"{paths.runs} has {free:,.0f} MiB free, a run of {named.name} needs about {needed:,.0f}; "
            "free some or choose another --home."
        )


def _check_memory(named: NamedConfig) -> None:
    needed = memory_mib(named)
    what, most = max(needed.items(), key=lambda item: item[1])
    total, available = sum(needed.values()), psutil.virtual_memory().available / MIB
    if total > available:
        raise ConfigError(
            f"{what} needs about {most:,.0f} MiB of memory, the training {total:,.0f} in all, {available:,.0f} are "
            "available; lower it."
        )


def memory_mib(named: NamedConfig) -> dict[str, float]:
    """Returns about how many MiB of memory the training needs, by setting and what it is needed for."""
    train, dataset = named.config.train, named.dataset
    row, rows = dataset.spec.row_bytes(), _rows(named)
    kept = rows["train"] * row * BYTES_PER_BYTE / MIB
    drawn = min(rows["train"], train.shuffle_buffer) * row / MIB
    validated = rows["validation"] * row * BYTES_PER_BYTE / MIB
    return {
        f"train.batch_size: a step of {train.batch_size:,} examples": (
            train.batch_size * row * BYTES_PER_BYTE * INPUTS_PER_STEP / MIB
        ),
        # What is larger is not kept: then training rows are drawn through a buffer.
        "train.buffer_mib: the training rows": kept if kept <= train.buffer_mib else min(drawn, train.buffer_mib),
        "train.buffer_mib: the validation split": validated if validated <= train.buffer_mib else 0.0,
    }


def _rows(named: NamedConfig) -> dict[str, float]:
    """Returns about how many rows each split has."""
    spec, data = named.dataset.spec, named.config.data
    if spec.num_rows:
        return dict(spec.num_rows)
    shares = {"validation": data.splits.validation, "test": data.splits.test}
    shares["train"] = 1 - sum(shares.values())
    return {split: share * named.dataset.num_bytes() / spec.row_bytes() for split, share in shares.items()}
