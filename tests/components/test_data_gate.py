import re
from pathlib import Path

import numpy as np
import pytest

from data.checks.profile import Profile
from data.config import DriftCheck
from data.errors import DataError
from data.spec import DatasetSpec, LabelFeature, NumberFeature, TextFeature
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # loads TFDV


def _anomalies(values: dict):
    """Returns TFDV's findings about a column, held against digits' schema for `label`."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    schema = tfdv.load_schema_text(str(ROOT / "data" / "schemas" / "digits.pbtxt"))
    return tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(pd.DataFrame(values)), schema)


def test_data_that_fits_its_schema_passes():
    from components.data_gate import check_anomalies

    check_anomalies({"train": _anomalies({"image": [b"a", b"b"], "label": [0, 9]})}, "digits")


def test_a_label_outside_its_domain_and_a_missing_column_stop_the_run():
    from components.data_gate import check_anomalies

    found = {"train": _anomalies({"image": [b"a"], "label": [3]}), "test": _anomalies({"label": [12, 3]})}
    with pytest.raises(DataError) as caught:
        check_anomalies(found, "digits")

    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Data set digits does not match its schema, nothing was trained; mend the data or")
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["test", "image"]
    assert "missing" in lines[1]
    assert lines[2].split()[:2] == ["test", "label"]
    assert "12" in lines[2]


def test_many_anomalies_are_cut_to_ten_lines():
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from components.data_gate import check_anomalies

    many = anomalies_pb2.Anomalies()
    for index in range(30):
        many.anomaly_info[f"column{index:02d}"].description = "odd"
    with pytest.raises(DataError) as caught:
        check_anomalies({"train": many}, "wide")

    lines = str(caught.value).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "  and 22 more"


SPEC = DatasetSpec(
    name="loans",
    title="made up",
    licence="none",
    features={
        "age": NumberFeature(min=0),
        "income": NumberFeature(optional=True),
        "plan": TextFeature(),
        "bad": LabelFeature(classes=("no", "yes")),
    },
)


def _loans(seed: int, count: int = 2000) -> list[dict]:
    """Returns rows in which the bad ones, a fifth, are younger."""
    generator = np.random.default_rng(seed)
    bad = generator.random(count) < 0.2
    ages, incomes = generator.normal(50 - 15 * bad, 8).clip(18), generator.lognormal(8, 1, count)
    return [
        {"age": float(age), "income": float(income), "plan": "a", "bad": int(label)}
        for age, income, label in zip(ages, incomes, bad, strict=True)
    ]


def _statistics(rows: list[dict]):
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from components.statistics import OPTIONS

    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(rows), stats_options=OPTIONS)


def _profile(rows: list[dict]) -> dict:
    profile = Profile(SPEC)
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in ("age", "income", "bad")}
    profile.add({**columns, "plan": np.ones(len(rows), bool)})
    return profile.arrays


def test_the_first_data_is_the_reference_and_the_like_passes(tmp_path):
    from components.data_gate import accept, find_drift

    reference, first, second = tmp_path / "accepted.npz", _loans(0), _loans(1)

    assert find_drift(_statistics(first), _profile(first), reference, SPEC, DriftCheck()) == []
    accept(_statistics(first), _profile(first), reference)
    assert find_drift(_statistics(second), _profile(second), reference, SPEC, DriftCheck()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["accepted.npz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: {**row, "income": row["income"] * 1000},
         r"  income: values are 1\.00 away .*median 2,9.. before, 2,9..,... now"),
        (lambda row: {**row, "age": row["age"] + 30}, r"  age: values are 0\.\d\d away"),
        (lambda row: {**row, "bad": 1 - row["bad"]}, r"  bad: share of class yes was \d\d\.\d%, is \d\d\.\d%"),
        (lambda row: {k: v for k, v in row.items() if k != "income" or row["age"] < 50},
         r"  income: share of rows with a value was 100\.0%, is \d\d\.\d%"),
    ],
    ids=["unit", "shift", "flipped labels", "missing cells"],
)  # fmt: skip
def test_data_far_from_the_accepted_is_told_with_its_features(tmp_path, change, message):
    from components.data_gate import accept, drift_message, find_drift

    reference, first, second = tmp_path / "accepted.npz", _loans(0), [change(row) for row in _loans(1)]
    accept(_statistics(first), _profile(first), reference)

    told = drift_message(find_drift(_statistics(second), _profile(second), reference, SPEC, DriftCheck()), "loans")

    assert told.startswith("Data set loans is far from the data accepted last, nothing was trained; mend it, or")
    assert re.search(message, told), told
    assert len(told.splitlines()) <= 10


class _Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_a_reference_that_is_damaged_or_planted_is_refused_and_not_executed(tmp_path):
    from components.data_gate import find_drift

    rows = _loans(0, 50)
    planted, cut = tmp_path / "planted.npz", tmp_path / "cut.npz"
    np.savez(planted, statistics=np.array([_Planted(tmp_path / "executed")], dtype=object))
    cut.write_bytes(planted.read_bytes()[:100])

    for reference in (planted, cut):
        with pytest.raises(DataError, match=f"{reference} is damaged .*; remove it, and this data becomes the new"):
            find_drift(_statistics(rows), _profile(rows), reference, SPEC, DriftCheck())
    assert not (tmp_path / "executed").exists()


def test_the_schema_of_features_refuses_what_they_rule_out():
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.schema import schema_text

    schema = text_format.Parse(schema_text(SPEC), schema_pb2.Schema())
    good = _statistics(_loans(0, 50))
    bad = _statistics([{**row, "age": -1.0, "bad": 2} for row in _loans(0, 50)])

    assert not tfdv.validate_statistics(good, schema).anomaly_info
    assert set(tfdv.validate_statistics(bad, schema).anomaly_info) == {"age", "bad"}
