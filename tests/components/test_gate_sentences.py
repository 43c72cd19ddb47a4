"""What the gates conclude and say, value by value, without a pipeline: drift, anomalies, damage, regressions."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from components.manifests import damage, write_manifest
from data.checks.profile import Profile
from data.checks.reference import DataSummary, Reference
from data.config import DriftCheck
from data.errors import DataError
from data.spec import DatasetSpec, ImageFeature, LabelFeature, NumberFeature
from models.serving.rollout.versions import publish

SPEC = DatasetSpec(name="pets", title="", licence="", features={"kind": LabelFeature(classes=("cat", "dog"))})


def _summary(cats: int, run: str) -> DataSummary:
    """Returns the summary of 1,000 rows, so many of which are cats."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    made, statistics = Profile(SPEC), statistics_pb2.DatasetFeatureStatisticsList()
    made.add({"kind": np.repeat([0, 1], [cats, 1000 - cats])})
    statistics.datasets.add(num_examples=1000)
    return DataSummary(statistics, made.arrays, run)


def _references(folder, *summaries: DataSummary | None) -> list[Reference]:
    """Returns references with these summaries, named a, b, c; None for a damaged one."""
    made = []
    for name, summary in zip("abc", summaries, strict=False):
        path = folder / f"{name}.npz"
        if summary:
            summary.write(path)
        else:
            path.write_bytes(b"")
        made.append(Reference(path, name, "go on", f"note {name}"))
    return made


def _sentences(references: list[Reference], cats: int, policy: str) -> list[str]:
    from components.data_gate import check_drift

    return check_drift(references, _summary(cats, "now"), SPEC, DriftCheck(policy=policy, max_distance=0.1))


CHANGE = "kind: share of class cat was {}, is 50.0%"


def test_drift_from_the_first_reference_stops_and_from_others_is_told(tmp_path):
    references = _references(tmp_path, _summary(500, "r1"), _summary(750, "r2"), _summary(1000, "r3"))

    assert _sentences(references, 500, "stop") == [
        "note a",
        f"drift from b (run r2): {CHANGE.format('75.0%')}",
        f"drift from c (run r3): {CHANGE.format('100.0%')}",
    ]
    with pytest.raises(
        DataError, match=r"^Data set pets has drifted from b \(run r2\) \(note b\), nothing was trained"
    ):
        _sentences(references[1:], 500, "stop")
    assert _sentences(references[1:2], 500, "warn") == ["note b", f"drift from b (run r2): {CHANGE.format('75.0%')}"]


def test_a_run_that_is_two_references_is_compared_once(tmp_path):
    same, unnamed = _summary(900, "r1"), _summary(900, "")

    sentences = _sentences(_references(tmp_path, same, same, _summary(950, "r3")), 500, "warn")
    assert [sentence[:12] for sentence in sentences] == ["note a", "drift from a", "drift from c"]
    sentences = _sentences(_references(tmp_path, unnamed, unnamed), 500, "warn")
    assert [sentence[:13] for sentence in sentences] == ["note a", "drift from a:", "drift from b:"]


def test_a_damaged_reference_stops_the_run_where_it_decides(tmp_path):
    references = _references(tmp_path, None, _summary(500, "r2"))
    with pytest.raises(DataError, match=r"a.npz is damaged"):
        _sentences(references, 500, "stop")

    first, second, third = _references(tmp_path, _summary(500, "r1"), None, _summary(900, "r3"))
    sentences = _sentences([first, second, third], 500, "stop")

    assert "b.npz is damaged" in sentences[1]
    assert sentences[2].startswith("drift from c (run r3)")


@pytest.mark.parametrize(("count", "shown", "last"), [(9, 9, "x8"), (10, 9, "  and 2 more"), (12, 9, "  and 4 more")])
def test_a_table_has_ten_lines_at_most(count, shown, last):
    from components.data_gate import _table

    first, *others = _table("head", [f"x{number}" for number in range(count)]).splitlines()

    assert first == "head"
    assert len(others) == shown
    assert others[-1] == last


def test_an_anomaly_of_a_whole_split_is_told():
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from components.data_gate import check_anomalies

    anomalies = anomalies_pb2.Anomalies()
    anomalies.dataset_anomaly_info.description = "too few"

    with pytest.raises(DataError) as error:
        check_anomalies({"train": anomalies_pb2.Anomalies(), "test": anomalies}, "pets")

    assert str(error.value).splitlines()[1:] == ["  test       all features  too few"]


def test_the_statistics_describe_an_image_by_numbers():
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.data_gate import schema_of_statistics

    spec = SPEC.model_copy(
        update={
            "features": {**SPEC.features, "image": ImageFeature(height=2, width=2, channels=1), "n": NumberFeature()}
        }
    )
    schema = schema_pb2.Schema()
    for name in ("image", "kind", "n", "other"):
        schema.feature.add(name=name)

    names = [feature.name for feature in schema_of_statistics(schema, spec).feature]

    assert names[:3] == ["kind", "n", "other"]
    assert len(names) > 3
    assert all(name.startswith("image.") for name in names[3:])


@pytest.mark.parametrize(
    ("content", "mtime_ns", "thorough", "expected"),
    [
        ("graph", 5, False, None),
        ("grape", 5, False, "model.pb was changed"),  # older than the manifest says
        ("grape", 2**61, False, "model.pb was changed"),
        ("grapf", None, True, "model.pb was changed"),
        ("grapg", None, True, "model.pb was changed"),
        ("grapi", None, True, "model.pb was changed"),
    ],
)
def test_a_file_that_was_changed_is_told_whatever_its_time_and_digest(tmp_path, content, mtime_ns, thorough, expected):
    file = tmp_path / "artifact" / "model.pb"
    file.parent.mkdir()
    file.write_text("graph")
    before = file.stat().st_mtime_ns
    write_manifest(file.parent)

    file.write_text(content)
    os.utime(file, ns=(before, before if mtime_ns is None else mtime_ns))

    assert damage(file.parent, thorough=thorough) == expected


def test_of_several_files_that_were_added_the_first_is_told(tmp_path):
    (tmp_path / "artifact").mkdir()
    write_manifest(tmp_path / "artifact")
    for name in ("c", "a", "b"):
        (tmp_path / "artifact" / name).write_text("x")

    assert damage(tmp_path / "artifact") == "a was added"


def _verdict(**changes):
    from components.model_gate import Verdict

    values = {"metric": "accuracy", "value": 0.9, "bound": 0.5, "lower_is_better": False, "max_regression": 0.0}
    return Verdict(**{**values, "is_compared": True, "published": 0.9, "candidate": 0.9, **changes})


@pytest.mark.parametrize(
    ("candidate", "published", "max_regression", "lower", "regresses"),
    [
        (0.9, 0.9, 0.0, False, False),
        (0.9 - 1e-13, 0.9, 0.0, False, False),  # less than floats tell apart
        (0.8999, 0.9, 0.0, False, True),
        (0.3, 0.1, 0.2, True, False),
        (0.3001, 0.1, 0.2, True, True),
        (-1e-13, 0.3, 0.3, False, False),  # beside zero, the size of what was subtracted counts
        (-0.3, 0.0, 0.3, False, False),
    ],
)
def test_a_regression_is_what_is_worse_by_more_than_is_accepted(candidate, published, max_regression, lower, regresses):
    verdict = _verdict(
        candidate=candidate, published=published, max_regression=max_regression, lower_is_better=lower, bound=-9.0
    )

    assert verdict.regresses == regresses


@pytest.mark.parametrize("candidate", [0.85, 0.95])
def test_the_value_on_the_rows_of_both_is_told_where_it_is_another(candidate):
    text = _verdict(candidate=candidate, published=0.5).sentence()

    assert f"can predict {candidate:.4f}, live 0.5000 (at most 0 worse)" in text
    assert "can predict" not in _verdict(published=0.5).sentence()
    assert "(only reported)" in _verdict(is_judged=False).sentence()


def test_the_worst_slices_are_those_beside_all_rows():
    from components.model_gate import worst_slices

    slices = {
        name: {"accuracy": value} for name, value in {"a": 0.4, "overall": 0.1, "z": 0.2, "b": 0.3, "c": 0.9}.items()
    }

    assert worst_slices(slices, {}, _verdict()) == ["worst: z 0.2000, b 0.3000, a 0.4000"]
    assert worst_slices({"overall": {"accuracy": 0.1}, "a": {"loss": 0.1}}, {}, _verdict()) == []


@pytest.mark.parametrize("digest", ["", "0", "z"])
def test_the_candidate_itself_is_no_other_live_version(tmp_path, digest):
    from components.live_model.comparison import Candidate
    from components.model_gate import other_live_version

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
    candidate = Candidate(str(tmp_path / "one"), {}, tmp_path, None, None, SPEC)
    assert other_live_version(tmp_path / "serving", candidate) is None
    version = publish(tmp_path / "one", tmp_path / "serving", {})

    assert other_live_version(tmp_path / "serving", candidate) is None
    assert (
        other_live_version(tmp_path / "serving", replace(candidate, saved_model=str(tmp_path / "two"))).version
        == version
    )
    manifest = tmp_path / "serving" / str(version) / "assets.extra" / "headrace.json"
    manifest.write_text(json.dumps({"digest": digest}))
    assert other_live_version(tmp_path / "serving", candidate).version == version
