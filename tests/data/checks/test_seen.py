"""Sorted digests give the same findings as a dictionary of all rows."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from data.checks import seen
from data.checks.rows import RowChecks
from data.columnar.batches import Batch
from data.config import Check, DataChecks
from data.errors import DataError
from data.spec import SPLITS
from tests.data.checks import tiny


def _reference(batches: list[Batch], settings: DataChecks) -> dict:
    """Returns the findings of a plain loop that keeps every row in a dictionary."""
    first_rows: dict[bytes, tuple] = {}
    findings: dict[str, list] = {}
    dropped = {split: [] for split in SPLITS}
    labels: dict[str, dict] = {split: {} for split in SPLITS}
    for batch in batches:
        for row, split_index in enumerate(batch.splits):
            split, label = SPLITS[split_index], batch.columns["label"][row].as_py()
            row_seen = split, batch.where(row), label
            earlier = first_rows.setdefault(batch.digests[row].tobytes(), row_seen)
            kind = "duplicates" if earlier[0] == split else "leakage"
            if earlier is not row_seen:
                finding = findings.setdefault(f"{kind} of {split}", [0, f"{row_seen[1]} equals {earlier[1]}", 0, ""])
                finding[0] += 1
                if earlier[2] != label:
                    names = [f"{located[1]} ({('cat', 'dog')[located[2]]})" for located in (row_seen, earlier)]
                    finding[2], finding[3] = finding[2] + 1, finding[3] or " equals ".join(names)
            is_dropped = earlier is not row_seen and (getattr(settings, kind) or Check()).policy == "drop"
            dropped[split].append(is_dropped)
            if not is_dropped:
                labels[split][label] = labels[split].get(label, 0) + 1
    return {"findings": findings, "dropped": {s: mask for s, mask in dropped.items() if any(mask)}, "labels": labels}


def _random_batches(random: np.random.Generator) -> list[Batch]:
    """Returns batches with many equal rows: of files with and without gaps, with names, and without a file."""
    batches = []
    for number in range(random.integers(1, 8)):
        size = int(random.integers(0, 12))
        pixels = random.integers(0, 40, size)
        rows = [
            (SPLITS[random.integers(0, 3)], tiny.rows(int(pixel), label=int(random.integers(0, 2)))[0])
            for pixel in pixels
        ]
        rows += [
            (SPLITS[random.integers(0, 3)], tiny.bad(int(random.integers(0, 12)))) for _ in range(random.integers(0, 4))
        ]
        batch = tiny.batch(rows)
        kind = random.integers(0, 3)
        if kind:
            gaps = np.cumsum(random.integers(1, 300, size)) if kind == 1 else batch.numbers
            batch = dataclasses.replace(batch, file=f"{number}.csv", numbers=gaps)
        if kind == 2:
            batch = dataclasses.replace(batch, names=tuple(f"cats/\udcff{number}/{row}.png" for row in range(size)))
        batches.append(batch)
    return batches


@pytest.mark.parametrize("seed", range(60))
def test_sorted_digests_give_the_findings_of_a_dictionary(seed, monkeypatch):
    monkeypatch.setattr(seen, "PARTITION_BITS", int(seed % 4))  # one, two, four or eight rows at once
    random = np.random.default_rng(seed)
    policies = random.choice(["stop", "drop", "warn"], 2)
    settings = DataChecks(duplicates=Check(policy=policies[0]), leakage=Check(policy=policies[1]))
    batches, cut = _random_batches(random), int(random.integers(0, 8))
    all_rows, first, second = (RowChecks(settings, tiny.SPEC) for _ in range(3))

    for number, batch in enumerate(batches):
        all_rows.add(batch)
        (first if number < cut else second).add(batch)
    first.merge(second)
    messages = [_messages(checks) for checks in (all_rows, first)]

    expected = _reference(batches, settings)
    for checks in (all_rows, first):
        findings = {
            f"{kind} of {split}": [finding.count, finding.first, finding.relabelled, finding.first_relabelled]
            for split, state in checks.splits.items()
            for kind, finding in (("duplicates", state.duplicates), ("leakage", state.leakage))
            if finding.count
        }
        assert findings == expected["findings"]
        assert {split: mask.tolist() for split, mask in checks.dropped().items()} == expected["dropped"]
        assert {s: list(state.labels["label"].items()) for s, state in checks.splits.items()} == {
            split: list(finding.items()) for split, finding in expected["labels"].items()
        }
    assert messages[0] == messages[1]


def _messages(checks: RowChecks) -> tuple[str, list[str], list[str]]:
    """Returns the error, the notes and the brief notes."""
    try:
        checks.judge()
    except DataError as error:
        return str(error), checks.notes, checks.brief_notes
    return "", checks.notes, checks.brief_notes


def test_a_row_takes_at_most_24_bytes():
    size, random = 2**14, np.random.default_rng(0)
    rows = seen.SeenRows(tiny.SPEC)
    for number in range(4):
        digests = random.integers(0, 2**63, (size, 2), np.uint64)
        label = pa.array(random.integers(0, 2, size))
        stored = pa.RecordBatch.from_arrays([pa.nulls(size, pa.binary()), label], names=["image", "label"])
        numbers = np.cumsum(random.integers(1, 3, size))  # with gaps
        rows.add(Batch(stored, np.zeros(size, np.int8), f"{number}.csv", numbers, pa.nulls(size), digests))

    assert rows.nbytes <= 24 * 4 * size


def test_rows_are_equal_where_both_halves_of_their_digests_are():
    later, earlier = seen._equal_rows(np.array([[5, 1], [5, 2], [5, 1], [6, 1]], np.uint64))

    assert (later.tolist(), earlier.tolist()) == ([2], [0])
