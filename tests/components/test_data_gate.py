import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from data.checks.profile import Profile
from data.checks.reference import DataSummary, Reference
from data.config import DriftCheck
from data.errors import DataError
from data.spec import DatasetSpec, LabelFeature, NumberFeature, TextFeature
from models.serving.rollout.references import profile_path, references
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # loads TFDV


def _anomalies(values: dict):
    """Returns TFDV's anomalies of columns by the schema of digits."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    schema = tfdv.load_schema_text(str(ROOT / "data" / "schemas" / "digits.pbtxt"))
    return tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(pd.DataFrame(values)), schema)


def test_data_that_matches_its_schema_passes():
    from components.data_gate import check_anomalies

    check_anomalies({"train": _anomalies({"image": [b"a", b"b"], "label": [0, 9]})}, "digits")


def test_a_label_outside_its_domain_and_a_missing_column_stop_the_run():
    from components.data_gate import check_anomalies

    anomalies = {"train": _anomalies({"image": [b"a"], "label": [3]}), "test": _anomalies({"label": [12, 3]})}
    with pytest.raises(DataError) as error:
        check_anomalies(anomalies, "digits")

    lines = str(error.value).splitlines()
    assert lines[0].startswith("Data set digits does not match its schema, nothing was trained; mend the data or")
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["test", "image"]
    assert "missing" in lines[1]
    assert lines[2].split()[:2] == ["test", "label"]
    assert "12" in lines[2]


def test_many_anomalies_are_cut_to_ten_lines():
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from components.data_gate import check_anomalies

    anomalies = anomalies_pb2.Anomalies()
    for index in range(30):
        anomalies.anomaly_info[f"column{index:02d}"].description = "odd"
    with pytest.raises(DataError) as error:
        check_anomalies({"train": anomalies}, "wide")

    lines = str(error.value).splitlines()
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
    """Returns rows of which a fifth is bad, with lower ages."""
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


def _summary(rows: list[dict], run: str = "") -> DataSummary:
    return DataSummary(_statistics(rows), _profile(rows), run)


def _accepted(folder: Path) -> Reference:
    """Returns the last accepted data as a reference."""
    return Reference(folder / "accepted.npz", "the last accepted data", "this data becomes the new reference")


def test_the_first_data_has_no_reference_and_similar_data_passes(tmp_path):
    from components.data_gate import check_drift

    _summary(_loans(0)).write(tmp_path / "accepted.npz")

    assert references(tmp_path / "profiles", tmp_path / "none.npz", tmp_path / "serving") == []
    assert check_drift([], _summary(_loans(0)), SPEC, DriftCheck()) == []
    assert check_drift([_accepted(tmp_path)], _summary(_loans(1)), SPEC, DriftCheck()) == []
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
def test_drifted_data_stops_the_run_and_its_features_are_named(tmp_path, change, message):
    from components.data_gate import check_drift

    drifted = _summary([change(row) for row in _loans(1)])
    _summary(_loans(0), "20260101-000000-000").write(tmp_path / "accepted.npz")

    with pytest.raises(DataError) as error:
        check_drift([_accepted(tmp_path)], drifted, SPEC, DriftCheck())

    text = str(error.value)
    head = "Data set loans has drifted from the last accepted data (run 20260101-000000-000), nothing was trained; mend"
    assert text.startswith(head)
    assert re.search(message, text), text
    assert len(text.splitlines()) <= 10


VERSION, FIRST = 1_767_225_600, "20260101-000000-000"


def _day(number: int) -> DataSummary:
    """Returns the data of a day: each day the ages are higher by 0.18 standard deviations."""
    rows = _loans(0)
    ages = np.array([row["age"] for row in rows])
    shift = 0.18 * ages.std() * number
    return _summary([{**row, "age": row["age"] + shift} for row in rows], f"day {number}")


def test_slow_drift_stops_the_run_when_it_is_far_from_the_data_of_the_live_version(tmp_path):
    from components.data_gate import check_drift, find_drift

    profiles, accepted, serving = tmp_path / "profiles", tmp_path / "accepted.npz", tmp_path / "serving"
    profiles.mkdir()
    (serving / str(VERSION)).mkdir(parents=True)
    days = [_day(number) for number in range(5)]
    days[0].write(profile_path(profiles, VERSION))
    days[0].write(accepted)

    passed = []
    for day in days[1:]:
        try:
            passed.append(check_drift(references(profiles, accepted, serving), day, SPEC, DriftCheck()))
        except DataError as error:
            text = str(error)
            break
        day.write(accepted)

    assert passed == [[]]  # a shift of 0.18 gives a distance of 0.09, one of 0.36 gives 0.16
    assert text.startswith(
        f"Data set loans has drifted from the data of the live version {VERSION} (run day 0), nothing"
    )
    assert "  age: values are 0.1" in text
    for yesterday, today in pairwise(days):
        assert find_drift(yesterday, today, SPEC, DriftCheck()) == []


def test_with_the_policy_warn_drift_from_both_references_is_reported(tmp_path):
    from components.data_gate import check_drift

    profiles, accepted, serving = tmp_path / "profiles", tmp_path / "accepted.npz", tmp_path / "serving"
    profiles.mkdir()
    (serving / str(VERSION)).mkdir(parents=True)
    _day(0).write(profile_path(profiles, VERSION))
    _day(2).write(accepted)
    warn = DriftCheck(policy="warn")

    both = check_drift(references(profiles, accepted, serving), _day(4), SPEC, warn)
    _day(0).write(accepted)
    once = check_drift(references(profiles, accepted, serving), _day(4), SPEC, warn)
    _day(4).write(profile_path(profiles, VERSION))
    published = check_drift(references(profiles, accepted, serving), _day(4), SPEC, DriftCheck())

    from_live, from_accepted = both
    assert from_live.startswith(f"drift from the data of the live version {VERSION} (run day 0): age: values are 0.3")
    assert from_accepted.startswith("drift from the last accepted data (run day 2): age: values are 0.1")
    assert once == [from_live]  # the last accepted data is that of the live version
    assert len(published) == 1  # reported, but the run goes on
    assert published[0].startswith("drift from the last accepted data (run day 0): age")


def test_without_a_profile_of_the_live_version_the_last_accepted_data_is_the_reference(tmp_path):
    from components.data_gate import check_drift

    accepted, serving = tmp_path / "accepted.npz", tmp_path / "serving"
    (serving / str(VERSION)).mkdir(parents=True)
    summary = _day(0)
    np.savez(accepted, **summary.arrays, statistics=np.frombuffer(summary.statistics.SerializeToString(), np.uint8))
    earlier = references(tmp_path / "profiles", accepted, serving)
    note = f"there is no profile of the data of the live version {VERSION}, the last accepted data is the reference"

    assert check_drift(earlier, _day(1), SPEC, DriftCheck()) == [note]
    with pytest.raises(DataError) as error:
        check_drift(earlier, _day(2), SPEC, DriftCheck())
    assert str(error.value).startswith(f"Data set loans has drifted from the last accepted data ({note}), nothing was")


class _Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_a_damaged_or_malicious_reference_is_refused_and_not_executed(tmp_path):
    malicious, truncated = tmp_path / "malicious.npz", tmp_path / "truncated.npz"
    np.savez(malicious, statistics=np.array([_Malicious(tmp_path / "executed")], dtype=object))
    truncated.write_bytes(malicious.read_bytes()[:100])

    for path in (malicious, truncated):
        with pytest.raises(
            DataError, match=f"{path} is damaged .*; remove it, and this data becomes the new reference"
        ):
            Reference(path, "the last accepted data", "this data becomes the new reference").read()
    assert not (tmp_path / "executed").exists()


def test_the_schema_of_features_refuses_values_out_of_range():
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.schema import schema_text

    schema = text_format.Parse(schema_text(SPEC), schema_pb2.Schema())
    good = _statistics(_loans(0, 50))
    bad = _statistics([{**row, "age": -1.0, "bad": 2} for row in _loans(0, 50)])

    assert not tfdv.validate_statistics(good, schema).anomaly_info
    assert set(tfdv.validate_statistics(bad, schema).anomaly_info) == {"age", "bad"}


def test_features_validated_in_parts_have_the_anomalies_of_all_at_once(monkeypatch):
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from components import data_gate

    columns = {f"n{index}": np.arange(20.0) + index for index in range(5)} | {
        f"t{index}": ["a", "b"] * 10 for index in range(5)
    }
    before = tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns))
    schema = tfdv.infer_schema(before)
    tfdv.get_feature(schema, "t1").drift_comparator.infinity_norm.threshold = 0.1
    tfdv.get_feature(schema, "t3").drift_comparator.infinity_norm.threshold = 0.1
    changed = columns | {"t1": ["a", "c"] * 10, "new": np.arange(20.0), "n4": ["x"] * 20}
    del changed["n0"], changed["t3"]
    statistics = tfdv.generate_statistics_from_dataframe(pd.DataFrame(changed))
    at_once = data_gate.validate(statistics, schema, before)

    monkeypatch.setattr(data_gate, "FEATURES_AT_ONCE", 2)
    in_parts = data_gate.validate(statistics, schema, before)

    assert set(in_parts.anomaly_info) == {"n0", "n4", "new", "t1", "t3"}
    assert in_parts == at_once == tfdv.validate_statistics(statistics, schema, previous_statistics=before)
    empty = tfdv.generate_statistics_from_dataframe(pd.DataFrame(changed)[:0])
    assert data_gate.validate(empty, schema) == tfdv.validate_statistics(empty, schema)
