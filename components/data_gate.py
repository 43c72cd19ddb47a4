"""The data gate: TFDV holds every split's statistics against the curated schema; anomalies stop the run."""

from pathlib import Path

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, Schema

from data.errors import DataError
from data.spec import SPLITS
from models import progress

MAX_LINES = 10


@component
def CuratedSchema(schema: OutputArtifact[Schema], path: Parameter[str], fingerprint: Parameter[str]):
    """Brings a schema that people keep in version control into the pipeline."""
    # Stock ImportSchemaGen keys its cache on the path alone: an edited schema would go unnoticed.
    text = Path(path).read_text()
    (Path(schema.uri) / "schema.pbtxt").write_text(text)


@component
def DataGate(
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    anomalies: OutputArtifact[ExampleAnomalies],
    dataset: Parameter[str],
    fingerprint: Parameter[str],
):
    """Stops the run when a split has an anomaly; writes what it found for each split."""
    expected = tfdv.load_schema_text(str(Path(schema.uri) / "schema.pbtxt"))
    found = {}
    for split in SPLITS:
        split_statistics = tfdv.load_stats_binary(str(Path(statistics.uri) / f"Split-{split}" / "FeatureStats.pb"))
        found[split] = tfdv.validate_statistics(split_statistics, expected)
        folder = Path(anomalies.uri) / f"Split-{split}"
        folder.mkdir(parents=True)
        (folder / "SchemaDiff.pb").write_bytes(found[split].SerializeToString())
    anomalies.split_names = statistics.split_names
    check_anomalies(found, dataset)
    progress.report(summary="no anomalies")


def check_anomalies(found: dict[str, anomalies_pb2.Anomalies], dataset: str) -> None:
    """Raises DataError with a table of at most ten lines when any split has an anomaly."""
    lines = []
    for split, anomalies in found.items():
        if anomalies.dataset_anomaly_info.description:
            lines.append(f"  {split:<11}all features  {anomalies.dataset_anomaly_info.description}")
        for name, info in sorted(anomalies.anomaly_info.items()):
            lines.append(f"  {split:<11}{name}  {info.short_description}: {info.description}")
    if not lines:
        return
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"  and {len(lines) - MAX_LINES + 1} more"]
    head = f"Data set {dataset} does not match its schema, nothing was trained;"
    raise DataError("\n".join([f"{head} mend the data or data/schemas/{dataset}.pbtxt:", *lines]))
