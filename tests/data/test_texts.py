import json

import numpy as np
import pytest

from data.texts import is_name, is_unicode, significant, to_json


@pytest.mark.parametrize("text", ["", "plain", "שלום 🙂", "\u202e", "\0"])
def test_what_utf8_can_hold(text):
    assert is_unicode(text)
    assert text.encode().decode() == text


def test_half_of_a_surrogate_pair_is_no_text_and_a_zero_byte_no_name():
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
        (-0.00004, "", "-0.0000"),
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
