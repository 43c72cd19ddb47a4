"""Paths of a pipeline's files within a home folder."""

from dataclasses import dataclass
from pathlib import Path

TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class PipelinePaths:
    """The folders and files of one pipeline; all paths absolute.

    Attributes:
        runs: Folder of all state except published versions.
        serving: Folder of the published versions.
    """

    runs: Path
    serving: Path

    @classmethod
    def of(cls, home: Path, name: str) -> "PipelinePaths":
        """Returns the paths of the pipeline `name`."""
        home = home.resolve()
        return cls(home / "runs" / name, home / "serving" / name)

    @classmethod
    def of_record(cls, file: Path) -> "PipelinePaths":
        """Returns the paths of the pipeline to which a run record file belongs; see `record`."""
        runs = file.resolve().parents[1]
        return cls.of(runs.parent.parent, runs.name)

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.serving.parents[1]

    def relative(self, path: Path) -> str:
        """Returns a path relative to the home, as records hold it, since the home may move."""
        return str(path.relative_to(self.home))

    def recorded(self, folder: Path) -> str:
        """Returns a folder's path as records hold it: relative to the home, or absolute if it lies outside."""
        return self.relative(folder) if folder.is_relative_to(self.home) else str(folder)

    def artifact(self, recorded: str) -> Path:
        """Returns the current absolute folder of an artifact.

        Args:
            recorded: Its path in a record or in ML Metadata: relative to the home, or, if an earlier release wrote
                it, absolute within the home of that time.
        """
        _, root, relative_path = recorded.rpartition(f"/{self.relative(self.artifacts)}/")
        return self.artifacts / relative_path if root else self.home / recorded

    @property
    def database(self) -> Path:
        """ML Metadata's SQLite file."""
        return self.runs / "metadata.db"

    @property
    def backup(self) -> Path:
        """A copy of the database, made after each run."""
        return self.runs / "metadata.db.backup"

    @property
    def execution_records(self) -> Path:
        """Folder of execution records, a file each; see `pipeline.history.execution_records`."""
        return self.runs / "records"

    @property
    def last(self) -> Path:
        """The last run and its fingerprint, if it was published and nothing has run since."""
        return self.runs / "last.json"

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.runs / "artifacts"

    def artifact_folders(self) -> list[Path]:
        """Returns the folders of artifacts, `<stage>/<output>/<execution>`, sorted, without those that were renamed."""
        return sorted(path for path in self.artifacts.glob("*/*/*") if path.name.isdecimal())

    @property
    def accepted(self) -> Path:
        """Summary of the data that the data gate accepted last."""
        return self.runs / "accepted.npz"

    @property
    def profiles(self) -> Path:
        """Summaries of the training data of published versions, a file each."""
        return self.runs / "profiles"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of unfinished trainings."""
        return self.runs / "checkpoints"

    @property
    def candidate(self) -> Path:
        """The model that failed the serving check, as it was served."""
        return self.runs / "candidate"

    @property
    def tensorboard(self) -> Path:
        """Event files, a folder for each run; all pipelines share a parent, so that TensorBoard's names are short."""
        return self.home / TENSORBOARD / self.runs.name

    @property
    def reports(self) -> Path:
        """Records and pages of the runs."""
        return self.runs / "reports"

    @property
    def logs(self) -> Path:
        """Logs, a file for each run."""
        return self.runs / "logs"

    def record(self, run: str) -> Path:
        """The record of a run; see `pipeline.history.record`."""
        return self.reports / f"{run}.json"

    def log(self, run: str) -> Path:
        """The log file of a run."""
        return self.logs / f"{run}.log"

    @property
    def webhooks(self) -> Path:
        """Webhooks whose tokens records hide; see `pipeline.history.webhooks`."""
        return self.runs / "webhooks.json"

    @property
    def samples(self) -> Path:
        """Sampled requests and predictions of the server, a file for each day."""
        return self.runs / "samples"

    @property
    def drift(self) -> Path:
        """Result of the last drift check: distance of requests and of the newest span to the training data."""
        return self.runs / "drift.json"

    @property
    def quality(self) -> Path:
        """Result of the last quality check: metrics of served predictions, day by day."""
        return self.runs / "quality.json"

    @property
    def temporary(self) -> Path:
        """Temporary files of the run in progress."""
        return self.runs / "tmp"

    @property
    def lock(self) -> Path:
        """Lock file of the run in progress."""
        return self.runs / "lock"
