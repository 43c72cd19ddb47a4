import numpy as np
import pytest

from data.errors import ConfigError
from data.spec import DatasetSpec, LabelFeature, NumberFeature
from models.serving.rollout import rollouts
from models.serving.rollout.references import profile_path
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.live.samples import Sample

pytestmark = pytest.mark.slow  # loads TFDV

SPEC = DatasetSpec(
    name="a", title="a", licence="a", features={"x": NumberFeature(), "y": LabelFeature(classes=("no", "yes"))}
)


def _values(mean: float, seed: int, count: int = 100) -> list[float]:
    return np.random.default_rng(seed).normal(mean, 1.0, count).tolist()


def _samples(mean: float, version: int) -> list[Sample]:
    return [Sample(1.0, "a", 0, version, {"x": value}, {}) for value in _values(mean, version)]


@pytest.fixture
def paths(tmp_path) -> PipelinePaths:
    """Version 1 learned from numbers around 0, version 2 around 3; the last accepted are around 9."""
    from data.checks.reference import DataSummary
    from pipeline.live.drift import _inputs_of, _statistics

    made = PipelinePaths.of(tmp_path, "a")
    made.profiles.mkdir(parents=True)
    places = {profile_path(made.profiles, 1): 0.0, profile_path(made.profiles, 2): 3.0, made.accepted: 9.0}
    for place, mean in places.items():
        rows = [{"x": value} for value in _values(mean, 0, 500)]
        DataSummary(_statistics(_inputs_of(SPEC), rows), {}).write(place)
    for version in (1, 2, 3):
        (made.serving / str(version)).mkdir(parents=True)
    rollouts.promote(made.serving, 2)
    return made


def test_requests_are_held_against_the_data_of_the_version_that_answered_them(paths):
    from pipeline.live.drift import served

    (calm,) = served(paths, SPEC, _samples(0.0, 1) + _samples(3.0, 2), 0.2)
    (drifted,) = served(paths, SPEC, _samples(0.0, 1) + _samples(0.0, 2), 0.2)

    assert not calm.drifted
    assert drifted.drifted
    assert drifted.reference == "the data of version 2"


def test_those_of_a_version_without_a_profile_against_the_data_of_the_live_one(paths):
    from pipeline.live.drift import served

    (calm,) = served(paths, SPEC, _samples(3.0, 3), 0.2)

    assert not calm.drifted
    assert calm.reference == "the data of the live version 2"


def test_versions_with_few_samples_do_not_count(paths):
    from pipeline.live.drift import served

    (calm,) = served(paths, SPEC, _samples(3.0, 2) + _samples(0.0, 1)[:49], 0.2)
    with pytest.raises(ConfigError, match=r"49 requests were sampled since the live version was published, 50 are"):
        served(paths, SPEC, _samples(3.0, 2)[:49] + _samples(0.0, 1)[:20], 0.2)

    assert not calm.drifted


def test_a_newest_span_is_read_as_all_spans_were_where_columns_are_inferred(paths, tmp_path):
    """Alone it may tell something else: 00 and 01 are codes, and were held against no numbers."""
    from pipeline.live.drift import newest_span

    spans = {"1": [f"{value:.3f}".replace(".", ",") for value in _values(0.0, 0)], "2": ["00", "01"] * 50}
    for span, values in spans.items():
        rows = [f"{value};{'yes' if i % 3 else 'no'}" for i, value in enumerate(values)]
        (tmp_path / f"{span}.csv").write_text("\n".join(["x;y", *rows]))
    (tmp_path / "a.yaml").write_text(
        "task: tabular_classification\ndata: {files: '{SPAN}.csv', label: y, delimiter: ';'}\n"
    )

    (found,) = newest_span(paths, config.load(str(tmp_path / "a.yaml")), 0.9)

    assert (found.feature, found.measure) == ("x", "Kolmogorov-Smirnov")
