"""What drift can be measured of: sampled requests, and spans of the data. Loads no TensorFlow."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from data.errors import ConfigError
from data.spec import DatasetSpec, Row
from models.serving.rollout.rollouts import live_version
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths
from pipeline.live import samples
from pipeline.live.samples import Sample

MIN_ROWS = 50  # with fewer rows drift is not measured


def check(named: NamedConfig, home: Path, kinds: Collection[str], since: float) -> None:
    """Raises ConfigError, before TensorFlow is loaded, if there are neither enough sampled requests nor spans.

    Args:
        named: The pipeline.
        home: Folder of `runs/` and `serving/`.
        kinds: As for `pipeline.live.drift.measure`.
        since: Likewise.
    """
    reasons = []
    for kind in kinds:
        try:
            if kind == "served":
                rows_by_version(requests(PipelinePaths.of(home, named.name), since), inputs_of(named.dataset.spec))
            else:
                require_spans(named)
        except ConfigError as error:
            reasons.append(str(error))
    if len(reasons) == len(kinds):
        raise ConfigError(" ".join(reasons))


def requests(paths: PipelinePaths, since: float) -> list[Sample]:
    """Returns the sampled requests after a time, in seconds since 1970, and after the live version was published."""
    return samples.read(paths.samples, max(since, float(live_version(paths.serving) or 0)))


def rows_by_version(sampled: Sequence[Sample], inputs: DatasetSpec) -> dict[int, list[Row]]:
    """Returns the rows of sampled requests by the version that answered, of versions with at least MIN_ROWS.

    Args:
        sampled: The samples.
        inputs: The input features.

    Raises:
        ConfigError: No version has enough samples.
    """
    rows = defaultdict(list)
    for sample in sampled:
        if row := sample.stored(inputs):
            rows[sample.version].append(row)
    measurable = {version: version_rows for version, version_rows in rows.items() if len(version_rows) >= MIN_ROWS}
    if not measurable:
        raise ConfigError(
            f"{max(map(len, rows.values()), default=0)} requests were sampled since the live version was published, "
            f"{MIN_ROWS} are needed; is serving.sample.rate above 0?"
        )
    return measurable


def require_spans(named: NamedConfig) -> None:
    """Raises ConfigError if the data has no spans."""
    if named.dataset.spans is None:
        raise ConfigError(f"The data of {named.name} has no spans; name {{SPAN}} or a date in data.files.")


def inputs_of(spec: DatasetSpec) -> DatasetSpec:
    """Returns a spec with its input features only."""
    inputs = {name: feature for name, feature in spec.features.items() if not feature.target}
    return spec.model_copy(update={"features": inputs})
