"""Where a pipeline keeps its state below a home folder."""

from dataclasses import dataclass
from pathlib import Path

TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class PipelinePaths:
    """The folders and files of one pipeline; all paths absolute.

    Attributes:
        runs: Everything but what is published.
        serving: The published versions.
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
        """Returns the paths of the pipeline whose record of a run a file is; see `record`."""
        runs = file.resolve().parents[1]
        return cls.of(runs.parent.parent, runs.name)

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.serving.parents[1]

    def relative(self, path: Path) -> str:
        """Returns a path below the home as records hold it: relative to the home, which may move."""
        return str(path.relative_to(self.home))

    def recorded(self, folder: Path) -> str:
        """Returns a folder's path as records hold it: relative to the home, absolute where it is not below it."""
        return self.relative(folder) if folder.is_relative_to(self.home) else str(folder)

    def artifact(self, recorded: str) -> Path:
        """Returns where an artifact's folder lies now.

        Args:
            recorded: Its path as a record or ML Metadata holds it: relative to the home, or, where an earlier release
                wrote it, absolute and below the home of that time.
        """
        _, root, below = recorded.rpartition(f"/{self.relative(self.artifacts)}/")
        return self.artifacts / below if root else self.home / recorded

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
        """What the database knows of each execution, a file each."""
        return self.runs / "records"

    @property
    def last(self) -> Path:
        """Which run was the last and what it was made of, if it was published and nothing ran since."""
        return self.runs / "last.json"

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.runs / "artifacts"

    def artifact_folders(self) -> list[Path]:
        """Returns the folders of artifacts, `<stage>/<output>/<execution>`, in order; not those that were set aside."""
        return sorted(path for path in self.artifacts.glob("*/*/*") if path.name.isdecimal())

    @property
    def accepted(self) -> Path:
        """Summary of the data that the data gate accepted last."""
        return self.runs / "accepted.npz"

    @property
    def profiles(self) -> Path:
        """Summaries of the data that published versions learned from, a file each."""
        return self.runs / "profiles"

    @property
    def checkpoints(self) -> Path:
        """States of unfinished trainings."""
        return self.runs / "checkpoints"

    @property
    def candidate(self) -> Path:
        """The model that failed the serving check, as it was served."""
        return self.runs / "candidate"

    @property
    def tensorboard(self) -> Path:
        """Event files, a folder a run; those of all pipelines lie together, so that TensorBoard's names are short."""
        return self.home / TENSORBOARD / self.runs.name

    @property
    def reports(self) -> Path:
        """What each run came to, and its page."""
        return self.runs / "reports"

    @property
    def logs(self) -> Path:
        """A log file a run."""
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
        """What the server was asked and answered, a file a day."""
        return self.runs / "samples"

    @property
    def drift(self) -> Path:
        """How far requests and the newest span were from the training data, when that was asked last."""
        return self.runs / "drift.json"

    @property
    def quality(self) -> Path:
        """How good answers were, day by day, when that was asked last."""
        return self.runs / "quality.json"

    @property
    def temporary(self) -> Path:
        """Temporary files of the running run."""
        return self.runs / "tmp"

    @property
    def lock(self) -> Path:
        """Locked by the running run."""
        return self.runs / "lock"
