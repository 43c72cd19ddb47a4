"""What the serving check compares and says, on tiny arrays, without a server."""

import json

import numpy as np
import pytest

from data.errors import ServingError

FACTS = {"engine": "embedded", "mib": 200.4, "p95_ms": 1.25, "p95_ms_8": 4.0}


def _compare(value, expected, *, tolerance: float = 0.01, num_rows: int = 2, key: str = "scores") -> None:
    from components.serving_check import _compare

    _compare("files", {key: np.asarray(value)}, {"scores": np.asarray(expected)}, tolerance, num_rows)


def test_signatures_agree_within_the_tolerance():
    expected = [0.5, 0.25, 0.125]

    _compare(expected, expected)
    _compare([0.509, 0.25, 0.125], expected)
    _compare([b"text", b"a", b"b"], expected)  # no numbers
    _compare([9.0, 9.0, 9.0], expected, key="another")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.52, 0.25, 0.125], "files disagree on scores by 0.02 for the same example .at most 0.01 allowed"),
        ([0.5, 0.23, 0.125], "files disagree on scores by 0.02 for the same example"),
        ([0.5, 0.25, 0.145], "files disagree on scores by 0.02 for an original file and the pixels"),
        ([0.5, np.nan, 0.125], "Signature files answered scores that is not finite"),
        ([0.5, 0.25, np.inf], "Signature files answered scores that is not finite"),
    ],
)
def test_what_is_farther_apart_or_not_finite_is_refused(value, message):
    with pytest.raises(ServingError, match=message):
        _compare(value, [0.5, 0.25, 0.125])


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (np.array([b"a", b"b"], object), ["a", "b"]),
        (np.array([0.5, 0.25]), [0.5, 0.25]),
        (np.array(b"text", object), "text"),
        (np.array(1.5), 1.5),
    ],
)
def test_an_output_becomes_values_of_python(output, expected):
    from components.serving_check import as_python

    assert as_python(output) == expected


@pytest.mark.parametrize(
    ("live", "mib", "precision", "originals", "sentence"),
    [
        (
            {},
            200.4,
            "float32",
            0,
            "agrees on 8 test examples; 95 % of single requests within 1.2 ms; with 8 clients within 4.0 ms; "
            "memory 200 MiB",
        ),
        (
            {},
            None,
            "float32",
            1,
            "agrees on 8 test examples and 1 original file; "
            "95 % of single requests within 1.2 ms; with 8 clients within 4.0 ms",
        ),
        (
            {"mib": 150.0, "p95_ms": 1.0, "p95_ms_8": 2.0},
            200.4,
            "float32",
            2,
            "agrees on 8 test examples and 2 original files; 95 % of single requests within 1.2 ms (live version 1.0); "
            "with 8 clients within 4.0 ms (live version 2.0); memory 200 MiB (live version 150)",
        ),
    ],
)
def test_the_line_of_a_check_that_passed(live, mib, precision, originals, sentence):
    from components.serving_check import _summary

    assert _summary({**FACTS, "mib": mib}, live, 8, precision, originals) == f"embedded server {sentence}"


def test_the_line_says_the_tolerance_of_a_lower_precision():
    from components.serving_check import _summary
    from models.precision import BFLOAT16, TOLERANCES

    assert f"agrees within {TOLERANCES[BFLOAT16]:.2g}, as {BFLOAT16} rounds, on 8" in _summary(FACTS, {}, 8, BFLOAT16)


def test_what_was_measured_of_the_live_version_is_read_where_there_is_one(tmp_path):
    from components.serving_check import live_measurement

    assert live_measurement(tmp_path) == {}
    (tmp_path / "7" / "assets.extra").mkdir(parents=True)
    assert live_measurement(tmp_path) == {}  # it was not published by Headrace
    manifest = tmp_path / "7" / "assets.extra" / "headrace.json"
    manifest.write_text("{}")
    assert live_measurement(tmp_path) == {}
    manifest.write_text(json.dumps({"serving": {"p95_ms": 1.0}}))
    assert live_measurement(tmp_path) == {"p95_ms": 1.0}
