"""Date formats are recognised, and numbers that are dates."""

import pyarrow as pa
import pytest

from data.inference.dates import FORMATS, are_dates
from data.inference.facts import survey
from tests.data.as_block import block_of


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["2024-01-31", "2024-01-31T12:00:00Z"], ("iso",)),
        (["31.01.2024"], ("%d.%m.%Y",)),
        (["01/02/2024"], ("%m/%d/%Y", "%d/%m/%Y")),
        (["01/02/2024", "31/01/2024"], ("%d/%m/%Y",)),
        (["20240131"], ("iso", "%Y%m%d")),
        (["Mar 3, 2024"], ("%b %d, %Y",)),
        (["10/Oct/2000:13:55:36 -0700"], ("%d/%b/%Y:%H:%M:%S %z",)),
        (["2024\u5e743\u67081\u65e5"], ("%Y\u5e74%m\u6708%d\u65e5",)),
        (["31.01.2024", "soon"], ()),
        (["2024"], ()),
    ],
)
def test_date_formats_are_those_that_match_every_cell(cells, formats):
    assert tuple(are_dates(cells, FORMATS)) == tuple(are_dates(pa.array(cells), FORMATS)) == formats


@pytest.mark.parametrize(
    ("cells", "are_days"),
    [
        (["20240131", "19991231"], True),
        (["20240131", "20240230"], False),
        (["12345678"], False),
        (["20240131", "2024"], False),
    ],
)
def test_numbers_of_eight_digits_are_dates_where_all_can_be(cells, are_days):
    assert survey([block_of({"day": cells})])["day"].are_days == are_days
