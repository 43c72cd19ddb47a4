"""The files that stages write into their artifacts, each with its stage and its output. Loads no TFX."""

from dataclasses import dataclass
from pathlib import Path

from models.evaluation import OVERALL as OVERALL


@dataclass(frozen=True)
class ArtifactFile:
    """A file in a stage's output.

    Attributes:
        stage: Id of the stage that writes it.
        output: Name of that stage's output.
        name: Name of the file. It must not change: the artifacts of older runs are read by it.
        per_split: Whether there is one in the folder of each split, `Split-<name>`.
    """

    stage: str
    output: str
    name: str
    per_split: bool = False

    def path(self, artifact: str | Path, split: str | None = None) -> Path:
        """Returns the path of the file below an artifact's folder; `split` is needed where each split has a file."""
        return Path(artifact, f"Split-{split}", self.name) if self.per_split else Path(artifact, self.name)


SUMMARY = ArtifactFile("ingest", "examples", "summary.json")
SPLIT_RULE = ArtifactFile("ingest", "examples", "split_rule.json")  # by which rows were assigned to splits
ROW_IDS = ArtifactFile("ingest", "examples", "row_ids.npz")  # of the test split
GROUPS = ArtifactFile("ingest", "examples", "groups.npy")  # of the test split, if its rows have groups
IDS = ArtifactFile("ingest", "examples", "ids.parquet")  # of the test split, if the data has a column data.roles.id
PICTURE_FILES = ArtifactFile("ingest", "examples", "picture_files.tfrecord")  # of some rows of the test split
STATISTICS = ArtifactFile("statistics", "statistics", "FeatureStats.pb", per_split=True)  # TFX's name
PROFILE = ArtifactFile("statistics", "statistics", "profile.npz")
SCHEMA = ArtifactFile("schema", "schema", "schema.pbtxt")  # TFX's name
ANOMALIES = ArtifactFile("data_gate", "anomalies", "SchemaDiff.pb", per_split=True)  # TFX's name
CLASSICAL = ArtifactFile("classical", "models", "classical.json")
TRAINING = ArtifactFile("train", "model_run", "training.json")
TENSORBOARD = ArtifactFile("train", "model_run", "tensorboard.txt")
METRICS = ArtifactFile("evaluate", "evaluation", "metrics.json")
PREDICTIONS = ArtifactFile("evaluate", "evaluation", "predictions")  # a folder
OLD_PREDICTIONS = ArtifactFile("evaluate", "evaluation", "predictions.npz")  # of older releases
MISTAKES = ArtifactFile("evaluate", "evaluation", "mistakes.json")
VERDICT = ArtifactFile("model_gate", "blessing", "verdict.json")
CHALLENGE = ArtifactFile("model_gate", "blessing", "challenge.json")
COMPARISON = ArtifactFile("baseline", "comparison", "comparison.json")
SERVING = ArtifactFile("serving_check", "blessing", "serving.json")
ANSWER = ArtifactFile("serving_check", "blessing", "answer.txt")
RECEIPT = ArtifactFile("publish", "pushed_model", "receipt.json")


def saved_model_folder(model_uri: str) -> str:
    """Returns the folder, below a model artifact, into which TFX's Trainer writes the SavedModel."""
    return str(Path(model_uri) / "Format-Serving")
