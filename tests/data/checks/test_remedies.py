import pytest

from data.checks.remedies import settings_for
from data.spec import DatasetSpec, LabelFeature, NumberFeature, Problem, TargetFeature

SPEC = DatasetSpec(
    name="homes",
    title="made up",
    licence="none",
    features={
        "area": NumberFeature(),
        "fee": NumberFeature(optional=True, unit="%"),
        "price": TargetFeature(),
        "sold": LabelFeature(classes=("no", "yes")),
    },
)
OPTIONAL = "data.features.area to {kind: number, optional: true}"


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("area", ["'26,5'", "'7,25'"], ['data.decimal to ","']),
        ("area", ["'1.234,50'"], ['data.decimal to ","', 'data.thousands to "."']),
        ("area", ["'3 km'"], ['data.features.area to {kind: number, unit: "km"}']),
        ("price", ["'12,5 EUR'"], ['data.decimal to ","', 'data.features.price to {kind: target, unit: "EUR"}']),
        ("fee", ["'3,57 %'"], ['data.decimal to ","']),
        ("area", ["nothing", "'26,5'"], [OPTIONAL, 'data.decimal to ","']),
        ("price", ["nothing"], []),
        ("sold", ["nothing"], []),
        ("area", ["'n/a'"], []),
        ("area", ["'1,5 km'", "'3 mi'"], []),
        ("area", ["'12" + "3" * 50 + "'... (80 characters)", "a list of 3", "7"], []),
        ("", ["3"], []),
    ],
)
def test_settings_that_make_cells_usable_are_suggested(column, cells, expected):
    problems = [Problem(f"rows.csv:{row}", column, "a number", cell) for row, cell in enumerate(cells, start=2)]

    assert [
        setting.removesuffix(" where all numbers are written so") for setting in settings_for(problems, SPEC)
    ] == expected
