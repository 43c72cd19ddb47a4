"""Credit scoring: 4,454 loans with 13 facts about each, and whether the loan went bad.

Source: L. A. Belanche, credit data of a Spanish bank, as the R package modeldata ships it (`credit_data`).
"""

import tempfile
from pathlib import Path

from data.prepared import by_content, prepared, write_table
from data.sources.packages import fetch_debian
from data.sources.r_tables import read_table
from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

NUMBERS = ("Seniority", "Time", "Age", "Expenses", "Income", "Assets", "Debt", "Amount", "Price")
CATEGORIES = ("Home", "Marital", "Records", "Job")
LACKING = ("Home", "Marital", "Job", "Income", "Assets", "Debt")  # in some rows


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_debian("r-cran-modeldata", Path(scratch))
        table = read_table(Path(scratch) / "usr/lib/R/site-library/modeldata", "credit_data")
    rows = table.astype(object).where(table.notna(), "").itertuples(index=False)
    write_table(folder, list(table.columns), rows)


DATASET = prepared(
    DatasetSpec(
        name="credit",
        title="loans and whether they went bad, 13 facts each",
        licence="MIT",
        features={
            **{name: NumberFeature(min=0, optional=name in LACKING) for name in NUMBERS},
            **{name: CategoryFeature(optional=name in LACKING) for name in CATEGORIES},
            "Status": LabelFeature(classes=("good", "bad")),
        },
        num_rows={"train": 3100, "validation": 426, "test": 928},
    ),
    sha256="43c83a4630f1995f00b456becc4a84219616a2f2bae445e86c706264cc9050a4",
    make=_make,
    split=by_content(*NUMBERS, *CATEGORIES),
)
