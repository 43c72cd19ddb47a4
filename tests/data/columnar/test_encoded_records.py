"""Records encoded many at once have the bytes that each has alone. Loads no TensorFlow."""

from pathlib import Path

import numpy as np
import pytest

from data.columnar.columns import of_rows, to_row
from data.columnar.encoded_records import encoded
from data.columnar.encoding import encode
from data.kinds.cell import Reading
from data.sources.records import Record
from data.spec import BadRow, BooleanFeature, CategoryFeature, DatasetSpec, DateFeature, NumberFeature, Problem

SPEC = DatasetSpec(
    name="a",
    title="",
    licence="",
    features={
        "size": NumberFeature(max=50),
        "gaps": NumberFeature(optional=True),
        "place": CategoryFeature(optional=True),
        "day": DateFeature(optional=True),
        "flag": BooleanFeature(optional=True),
    },
)
CELLS = {
    True: ["", "NA", "1", "1.0", " 2 ", "99", "x", "yes", "no", "2026-11-29", "süd", "1e3", None],
    False: [None, 1, 1.0, 2.5, 2**60, 99, True, "x", "", "NA", float("nan"), "2026-11-29", "süd", "yes", b"\xff", [1]],
}


@pytest.mark.parametrize("textual", [True, False])
def test_records_at_once_are_those_one_by_one_whatever_stands_beside_them(textual):
    how = Reading(textual, frozenset(["", "NA"]), Path())
    cells, generator = CELLS[textual], np.random.default_rng(0)
    records = []
    for number in range(600):
        names = [name for name in (*SPEC.features, "unused") if generator.random() < 0.9]
        chosen = {name: cells[generator.integers(len(cells))] for name in names}
        if generator.random() < 0.7:
            chosen |= {"size": "7" if textual else 7}
        if generator.random() < 0.7:
            chosen |= dict.fromkeys(("gaps", "day", "flag"), None)
        records.append(Record(f"a:{number}", chosen, Problem("a:5", "", "a row", "none") if number == 5 else None))

    alone = [to_row(record, SPEC, how, unused=["unused"]) for record in records]
    expected = [
        None if isinstance(row, BadRow) else encode(of_rows([row], SPEC), list(SPEC.features))[0].as_py()
        for row in alone
    ]

    assert list(encoded(records, SPEC, how)) == expected
    assert 100 < sum(one is not None for one in expected) < 600
