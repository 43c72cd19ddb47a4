"""Named data sets that are a table, made once out of packages and kept as a CSV file in the user's cache."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.cells import to_row
from data.sources.files import verify
from data.sources.packages import keep, kept_folder
from data.sources.records import Record
from data.sources.tables import delimited
from data.spec import READ_ORDER, BadRow, Dataset, DatasetSpec, LocatedRow
from data.splitting import bucket

TABLE = "table.csv"
Split = Callable[[Mapping[str, Any]], str]
Groups = Callable[[Sequence[Mapping[str, Any]]], Iterable[str]]


def prepared(
    spec: DatasetSpec, *, sha256: str, make: Callable[[Path], None], split: Split, groups: Groups | None = None
) -> Dataset:
    """Returns a data set that is read from one CSV file.

    Args:
        spec: What is in it; columns that are no features are left out.
        sha256: Of the file.
        make: Writes `table.csv` into a folder, out of packages; raises SourceUnavailable.
        split: Cells of a row -> its split.
        groups: Cells of all rows, in the order of the file -> the group of each; None where each stands for itself.
    """

    def open_table(folder: Path | None) -> Iterable[tuple[str, LocatedRow | BadRow]]:
        place = folder or kept_folder(spec.name)
        if folder is None:
            keep(place, make)
        verify(place, {TABLE: sha256}, fix=f"delete the folder {place} and run again to make it anew")
        return _rows(place / TABLE, spec, split, groups)

    return Dataset(spec, digest=lambda: f"sha256:{sha256}", sources={"package": open_table})


def by_content(*columns: str, validation: float = 0.1, test: float = 0.2) -> Split:
    """Returns a split that depends on what stands in `columns`: equal values, same split."""
    cuts = round(test * 1000), round((test + validation) * 1000)

    def split(cells: Mapping[str, Any]) -> str:
        number = bucket("\0".join(str(cells[name]) for name in columns).encode())
        return "test" if number < cuts[0] else "validation" if number < cuts[1] else "train"

    return split


def write_table(folder: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes `table.csv` into a folder, the same bytes on every machine."""
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _rows(
    path: Path, spec: DatasetSpec, split: Split, groups: Groups | None
) -> Iterator[tuple[str, LocatedRow | BadRow]]:
    """Yields the rows in the order of splits that checks want; a table is small enough to be held."""
    found: dict[str, list[Record]] = {name: [] for name in READ_ORDER}
    records = list(delimited.read(path))
    named = groups([record.cells for record in records]) if groups else [None] * len(records)
    for record, group in zip(records, named, strict=True):
        found[split(record.cells)].append(replace(record, group=group) if group else record)
    for name in READ_ORDER:
        for record in found[name]:
            record = replace(record, where=record.where.replace(str(path), spec.name, 1))
            unused = record.cells.keys() - spec.features.keys()
            yield name, to_row(record, spec, path.parent, textual=True, unused=unused, missing=("",))
