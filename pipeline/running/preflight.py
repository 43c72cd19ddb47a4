"""Cheap checks before a run, without TensorFlow."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from typing import Any

import psutil
from threadpoolctl import threadpool_limits

from components.live_model.comparable import LiveModel, why_not_comparable
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
SHOWN = 5  # names in a message
MAX_CLASSES = 10  # most frequent classes that `headrace check` counts
# MiB for models, event files and ML Metadata of a run; measured on digits and Fashion-MNIST: 3 to 20.
BASE_MIB = 100
# Memory for activations and gradients of a small network, in multiples of the size of its float32 input.
INPUTS_PER_STEP = 200
BYTES_PER_BYTE = 4  # memory for a byte of a stored row: the model takes a pixel as float32


def check(named: NamedConfig, paths: PipelinePaths, *, take_over: bool = False) -> None:
    """Raises ConfigError if the run cannot be completed on this machine.

    Args:
        named: The run file.
        paths: Paths of the pipeline in its home.
        take_over: Whether the name may have belonged to another run file so far.
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
    """Returns a line on environment variables that are ignored or may change results; empty if there are none."""
    environment_notes = environment.line()
    return [f"environment: {environment_notes}"] if environment_notes else []


def renamed_inputs(named: NamedConfig) -> list[str]:
    """Returns a line on columns whose input in the served signature `columns` has another name; empty if none has."""
    names = named.config.model.input_names(named.dataset.spec)
    renamed = [f"{shown(column)} as {key}" for column, key in names.items() if key != column]
    more = f", and {len(renamed) - SHOWN} more" if len(renamed) > SHOWN else ""
    return [f"served signature columns takes {', '.join(renamed[:SHOWN])}{more}"] if renamed else []


def read_everything(named: NamedConfig) -> dict[str, Any]:
    """Reads and checks all rows as ingest does.

    Data that passed with the same settings and code is not read again as long as no file has changed; see
    `data.files.file_cache`.

    Returns:
        `splits`: split -> `rows`, a number, and `classes`, the numbers of rows of the most frequent classes; `notes`:
        a list of sentences.

    Raises:
        DataError: A run would refuse the data.
    """
    dataset, data = named.dataset, named.config.data
    if dataset.files is None:
        summary = _run_row_checks(named)
    else:
        files = dataset.files()
        # The names of the files belong to the key: they are in notes, and may give class and split.
        cache_key = ["rows", named.name, data.model_dump_json(), dataset.spec.model_dump_json(), *map(str, files)]
        summary = file_cache.facts(files, json.dumps(cache_key), lambda: _run_row_checks(named))
    classes = {split: Counter(counts) for split, counts in summary["classes"].items()}
    splits = {
        split: {"rows": summary["rows"][split], "classes": dict(classes[split].most_common(MAX_CLASSES))}
        for split in SPLITS
    }
    notes = [*dataset.notes(), *summary["notes"], *_absent_classes(named, classes), *_single_rows(named, classes)]
    return {"splits": splits, "notes": notes}


def _run_row_checks(named: NamedConfig) -> dict[str, Any]:
    """Returns the results of the row checks as JSON values: `rows` and `classes` by split, and `notes`."""
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
    """Returns a sentence for each split that lacks classes, with the consequence and the remedy.

    Args:
        named: The run file.
        counts: Split -> number of rows of each class, of all labels.
    """
    notes, cut_shares = [], named.config.data.cut_shares
    class_names = [name for feature in named.dataset.spec.of(LabelFeature).values() for name in feature.classes]
    for split, split_counts in counts.items():
        absent = [name for name in class_names if name not in split_counts]
        if not absent:
            continue
        names = listed([isolated(name) for name in absent], SHOWN)
        consequence = "cannot be learned" if split == "train" else "cannot be measured"
        max_rows = max(sum(other_counts.get(name, 0) for other_counts in counts.values()) for name in absent)
        remedy = f"add rows to split {split}, or take out what is no class"
        if split in cut_shares and max_rows < len(SPLITS):  # whatever the shares are
            remedy = f"add rows, at least one of a class for each of {len(SPLITS)} splits, or take out what is no class"
        elif split in cut_shares:
            remedy = f"add rows, or raise data.splits.{split}"
        verb = "has" if len(absent) == 1 else "have"
        notes.append(
            f"{len(absent):,} of {len(class_names):,} classes {verb} no row in {split} ({names}): "
            f"{'it' if len(absent) == 1 else 'they'} {consequence}; {remedy}"
        )
    return notes


def _single_rows(named: NamedConfig, counts: Mapping[str, Counter[str]]) -> list[str]:
    """Returns a sentence for validation and test on classes with a single row, with the consequence and the remedy.

    Args:
        named: The run file.
        counts: Split -> number of rows of each class, of all labels.
    """
    notes, cut_shares = [], named.config.data.cut_shares
    for split in SPLITS[1:]:
        single = [isolated(name) for name, count in counts[split].items() if count == 1]
        if single:
            remedy = f"add rows, or raise data.splits.{split}" if split in cut_shares else f"add rows to split {split}"
            verb, whose = ("class has", "its") if len(single) == 1 else ("classes have", "their")
            notes.append(
                f"{len(single):,} {verb} only 1 row in {split} ({listed(single, SHOWN)}): "
                f"{whose} recall, F1 and AUC say next to nothing; {remedy}"
            )
    return notes


def _check_links(paths: PipelinePaths) -> None:
    """Raises ConfigError if a copy of a home would write into the original through a link."""
    for folder in (paths.artifacts, *paths.artifacts.glob("*"), *paths.artifacts.glob("*/*")):
        for owner in folder.resolve().parents if folder.is_symlink() else ():
            if owner != paths.runs and (owner / paths.database.name).exists():
                raise ConfigError(
                    f"{folder} is a link into {owner}, which has a database of its own; replace the link by a copy of "
                    "its target, or remove it."
                )


def _check_writable(paths: PipelinePaths) -> None:
    """Raises ConfigError if a file or folder of the home is not writable, as after a run of another user."""
    folders = (paths.logs, paths.reports, paths.artifacts, paths.execution_records, paths.checkpoints, paths.profiles)
    for path in (*folders, paths.database, paths.lock, paths.tensorboard, paths.serving):
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        needed = os.W_OK | os.X_OK if existing.is_dir() or existing != path else os.W_OK
        if not os.access(existing, needed):
            raise ConfigError(
                f"{existing} cannot be written to; run `chmod u+w {existing}`, mount its file system for writing, or "
                "choose another home with --home or HEADRACE_HOME."
            )


def _check_live(named: NamedConfig, paths: PipelinePaths) -> None:
    """Raises ConfigError if the trained model could not be compared with the live version."""
    settings = named.config.evaluate
    live = None if settings.against_live == "never" else LiveModel.of(paths.serving)
    if live is None:
        return
    is_compared = bool(settings.thresholds) or settings.challenge != "off"
    why_not = why_not_comparable(live, named.config.task, named.dataset, is_compared=is_compared)
    if why_not:
        raise ConfigError(f"{named.name}: {why_not}")


def _check_disk(named: NamedConfig, paths: PipelinePaths) -> None:
    needed = named.dataset.num_bytes() / MIB + BASE_MIB
    existing = next(folder for folder in (paths.runs, *paths.runs.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / MIB
    if free < needed:
        raise ConfigError(
            f"{paths.runs} has {free:,.0f} MiB free, a run of {named.name} needs about {needed:,.0f}; "
            "free some or choose another --home."
        )


def _check_memory(named: NamedConfig) -> None:
    needed = memory_mib(named)
    setting, mib = max(needed.items(), key=lambda item: item[1])
    total, available = sum(needed.values()), psutil.virtual_memory().available / MIB
    if total > available:
        raise ConfigError(
            f"{setting} needs about {mib:,.0f} MiB of memory, the training {total:,.0f} in all, {available:,.0f} are "
            "available; lower it."
        )


def memory_mib(named: NamedConfig) -> dict[str, float]:
    """Returns the estimated memory of training: setting and purpose -> MiB."""
    train, dataset = named.config.train, named.dataset
    row_bytes, num_rows = dataset.spec.row_bytes(), _rows(named)
    training_mib = num_rows["train"] * row_bytes * BYTES_PER_BYTE / MIB
    shuffle_mib = min(num_rows["train"], train.shuffle_buffer) * row_bytes / MIB
    validation_mib = num_rows["validation"] * row_bytes * BYTES_PER_BYTE / MIB
    return {
        f"train.batch_size: a step of {train.batch_size:,} examples": (
            train.batch_size * row_bytes * BYTES_PER_BYTE * INPUTS_PER_STEP / MIB
        ),
        # Rows that exceed the buffer are not kept in memory: training rows are then shuffled through a buffer.
        "train.buffer_mib: the training rows": training_mib
        if training_mib <= train.buffer_mib
        else min(shuffle_mib, train.buffer_mib),
        "train.buffer_mib: the validation split": validation_mib if validation_mib <= train.buffer_mib else 0.0,
    }


def _rows(named: NamedConfig) -> dict[str, float]:
    """Returns split -> estimated number of rows."""
    spec, data = named.dataset.spec, named.config.data
    if spec.num_rows:
        return dict(spec.num_rows)
    shares = {"validation": data.splits.validation, "test": data.splits.test}
    shares["train"] = 1 - sum(shares.values())
    return {split: share * named.dataset.num_bytes() / spec.row_bytes() for split, share in shares.items()}
