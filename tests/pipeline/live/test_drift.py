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
    """Version 1 was trained on numbers around 0, version 2 around 3; the data accepted last is around 9."""
    from data.checks.reference import DataSummary
    from pipeline.live.drift import _statistics
    from pipeline.live.drift_sources import inputs_of

    pipeline_paths = PipelinePaths.of(tmp_path, "a")
    pipeline_paths.profiles.mkdir(parents=True)
    means = {
        profile_path(pipeline_paths.profiles, 1): 0.0,
        profile_path(pipeline_paths.profiles, 2): 3.0,
        pipeline_paths.accepted: 9.0,
    }
    for profile, mean in means.items():
        rows = [{"x": value} for value in _values(mean, 0, 500)]
        DataSummary(_statistics(inputs_of(SPEC), rows), {}).write(profile)
    for version in (1, 2, 3):
        (pipeline_paths.serving / str(version)).mkdir(parents=True)
    rollouts.promote(pipeline_paths.serving, 2)
    return pipeline_paths


def test_requests_are_compared_with_the_data_of_the_version_that_answered_them(paths):
    from pipeline.live.drift import request_distances

    (calm,) = request_distances(paths, SPEC, _samples(0.0, 1) + _samples(3.0, 2), 0.2)
    (drifted,) = request_distances(paths, SPEC, _samples(0.0, 1) + _samples(0.0, 2), 0.2)

    assert not calm.drifted
    assert drifted.drifted
    assert drifted.reference == "the data of version 2"


def test_requests_to_a_version_without_a_profile_are_compared_with_the_data_of_the_live_one(paths):
    from pipeline.live.drift import request_distances

    (calm,) = request_distances(paths, SPEC, _samples(3.0, 3), 0.2)

    assert not calm.drifted
    assert calm.reference == "the data of the live version 2"


def test_versions_with_few_samples_do_not_count(paths):
    from pipeline.live.drift import request_distances

    (calm,) = request_distances(paths, SPEC, _samples(3.0, 2) + _samples(0.0, 1)[:49], 0.2)
    with pytest.raises(ConfigError, match=r"49 requests were sampled since the live version was published, 50 are"):
        request_distances(paths, SPEC, _samples(3.0, 2)[:49] + _samples(0.0, 1)[:20], 0.2)

    assert not calm.drifted


def test_inferred_kinds_of_columns_in_the_newest_span_are_those_of_all_spans(paths, tmp_path):
    """Alone the span would have other kinds: 00 and 01 are codes, which were compared with no numbers."""
    from pipeline.live.drift import span_distances

    spans = {"1": [f"{value:.3f}".replace(".", ",") for value in _values(0.0, 0)], "2": ["00", "01"] * 50}
    for span, values in spans.items():
        rows = [f"{value};{'yes' if i % 3 else 'no'}" for i, value in enumerate(values)]
        (tmp_path / f"{span}.csv").write_text("\n".join(["x;y", *rows]))
    (tmp_path / "a.yaml").write_text(
        "task: tabular_classification\ndata: {files: '{SPAN}.csv', label: y, delimiter: ';'}\n"
    )

    (distance,) = span_distances(paths, config.load(str(tmp_path / "a.yaml")), 0.9)

    assert (distance.feature, distance.measure) == ("x", "Kolmogorov-Smirnov")
