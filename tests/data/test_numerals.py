"""Numbers are parsed with the separators of the settings, and other texts are not numbers."""

import pytest
from pydantic import ValidationError

from data.numerals import PLAIN, Notation, parsed
from data.spec import NumberFeature


@pytest.mark.parametrize(
    ("text", "marks", "unit", "number"),
    [
        ("1.234,50", ",.", "", 1234.5),
        ("1.234,50 \u20ac", ",.", "\u20ac", 1234.5),
        ("\u20ac\u00a01.234", ",.", "\u20ac", 1234),
        ("-\u20ac12", ",", "\u20ac", -12),
        ("\u221212,5", ",", "", -12.5),
        ("\u22125", ".", "", -5),
        ("1 234 567,8", ", ", "", 1234567.8),
        ("1\u202f234", ", ", "", 1234),
        ("1'234.5", ".'", "", 1234.5),
        ("1\u2019234", ".'", "", 1234),
        ("3,0 %", ",", "%", 3),
        ("12 km", ".", "km", 12),
        ("12", ".", "km", 12),
        (" 1e3 ", ".,", "", 1000),
        ("77,- \u20ac", ",.", "\u20ac", 77),
        ("-1.077,\u2014 \u20ac", ",.", "\u20ac", -1077),
        ("CHF 77.--", ".", "CHF", 77),
    ],
)
def test_numbers_are_parsed_in_the_notation_of_the_settings(text, marks, unit, number):
    assert parsed(text, Notation(*marks), unit) == number


@pytest.mark.parametrize(
    ("text", "marks", "unit"),
    [
        ("1.5", ",", ""),  # a decimal comma is set: this is another notation
        ("1,23", ".,", ""),  # thousands are three digits apart
        ("1.23", ",.", ""),
        ("1234,567", ".,", ""),
        ("0,123", ".,", ""),
        ("1,234,56", ".,", ""),
        ("1 23", ", ", ""),
        ("0.03", ".", "%"),  # ambiguous in a column with 3%
        ("12 miles", ".", "km"),
        ("km", ".", "km"),
        ("km 12 km", ".", "km"),
        ("(12.50)", ".", ""),
        ("77,-5", ",", ""),
        (",-", ",", ""),
        ("77.-", ",", ""),
        ("1_000", ".", ""),
        ("nan", ",", ""),
        ("", ",", ""),
    ],
)
def test_texts_in_another_notation_are_no_numbers(text, marks, unit):
    assert parsed(text, Notation(*marks), unit) is None


def test_the_plain_notation_is_that_of_python_without_underscores():
    assert [parsed(text) for text in ("1.5", "+3", " 1e5 ", ".5", "1,5")] == [1.5, 3, 1e5, 0.5, None]
    assert parsed("-inf", PLAIN) == float("-inf")


@pytest.mark.parametrize("unit", ["5", "e", "E3", " km", "km ", "-", ".", "'"])
def test_parts_of_numbers_are_no_units(unit):
    with pytest.raises(ValidationError, match="a unit such as EUR"):
        NumberFeature(unit=unit)


@pytest.mark.parametrize("unit", ["", "%", "\u20ac", "EUR", "m\u00b2", "kWh", "p. a.", "R$", "\u00b0C", "Rs."])
def test_units_have_any_other_letters(unit):
    assert NumberFeature(unit=unit).unit == unit
