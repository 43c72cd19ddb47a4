"""Reference data: a file with the summary of a training split; later data is compared with it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from data.checks import profile
from data.errors import DataError
from data.files import atomic

_STATISTICS_KEY, _RUN_KEY = "statistics", "run"  # in the file, with the profile's arrays


@dataclass(frozen=True)
class DataSummary:
    """Summary of a training split.

    Attributes:
        statistics: TFDV's statistics.
        arrays: Its profile; see `data.checks.profile.Profile`.
        run: Id of the run that read the data; empty in a file of an older release.
    """

    statistics: statistics_pb2.DatasetFeatureStatisticsList
    arrays: profile.Arrays
    run: str = ""

    def write(self, path: Path) -> None:
        """Writes an .npz file atomically, readable by its owner only; its folder must exist."""
        statistics = np.frombuffer(self.statistics.SerializeToString(), np.uint8)
        with atomic.replacing(path) as staging:
            np.savez(staging, **self.arrays, **{_STATISTICS_KEY: statistics, _RUN_KEY: np.array(self.run)})
            staging.chmod(0o600)


@dataclass(frozen=True)
class Reference:
    """Data with which new data is compared.

    Attributes:
        path: The file of its summary.
        name: Phrase for the data, for a message.
        if_removed: Phrase for the effect of removing the file, for a message.
        note: Reason why other data than usual is the reference; empty for the usual reference.
    """

    path: Path
    name: str
    if_removed: str
    note: str = ""

    def read(self) -> DataSummary:
        """Returns the summary of the data; raises DataError where its file is damaged."""
        try:
            arrays = profile.load(self.path)
            statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(arrays.pop(_STATISTICS_KEY).tobytes())
            return DataSummary(statistics, arrays, str(arrays.pop(_RUN_KEY, "")))
        except (
            OSError,
            EOFError,
            TypeError,
            ValueError,
            KeyError,
            AttributeError,
            zipfile.BadZipFile,
            DecodeError,
        ) as error:
            reason = "it is empty" if isinstance(error, EOFError) else type(error).__name__
            raise DataError(f"{self.path} is damaged ({reason}); remove it, and {self.if_removed}.") from error
