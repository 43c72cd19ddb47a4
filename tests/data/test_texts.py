import json

import numpy as np
import pytest

from data.texts import is_name, is_unicode, significant, span, to_json


@pytest.mark.parametrize("text", ["", "plain", "שלום 🙂", "\u202e", "\0"])
def test_what_utf8_can_hold(text):
    assert is_unicode(text)
    assert text.encode().decode() == text


def test_surrogates_are_not_text_and_zero_bytes_not_in_names():
    assert not is_unicode("cut off \ud83d")
    assert not is_name("cut off \ud83d")
    assert not is_name("a\0b")
    assert is_name("a/b {} 🙂")


def test_json_holds_no_infinity_and_no_nan():
    values = {"rmse": float("inf"), "ends": [float("-inf"), (np.float64("nan"), 1.5)], "name": "NaN"}

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(to_json(values), parse_constant=refuse) == {
        "rmse": None,
        "ends": [None, [None, 1.5]],
        "name": "NaN",
    }


@pytest.mark.parametrize(
    ("value", "sign", "expected"),
    [
        (0.75, "", "0.7500"),
        (-0.00004, "", "0.0000"),
        (9.99996, "", "10.0000"),
        (23.456789, "+", "+23.457"),
        (2312.4567, "", "2312.5"),
        (-23895.39, "+", "-23895"),
        (1234567.8, "", "1234568"),
        (0.0, "+", "+0.0000"),
        (float("inf"), "", "inf"),
    ],
)
def test_a_measured_number_has_five_significant_digits(value, sign, expected):
    assert significant(value, sign) == expected


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (0.94213, (0.9204, 0.9579), "0.942"),
        (172.0669367313385, (150.2, 193.9), "172"),
        (12345.6, (11500.0, 13200.0), "12350"),  # half its width is 850: tens
        (0.5, (0.4004, 0.5996), "0.50"),  # 0.0996 is 0.10
        (0.97, (0.97, 0.97), "0.9700"),
        (0.97, (0.0, float("inf")), "0.9700"),
    ],
)
def test_a_measured_number_has_the_digits_that_its_interval_allows(value, interval, expected):
    assert significant(value, interval=interval) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.89991, "0.8999"), (0.9, "0.90"), (0.9000001, "0.9000001")])
def test_a_number_is_rounded_to_its_side_of_the_bound(value, expected):
    assert significant(value, interval=(0.8, 1.0), bound=0.9) == expected


def test_the_ends_of_an_interval_have_the_digits_of_its_width():
    assert span((-0.00504, 0.03657), "+") == "-0.005 to +0.037"
