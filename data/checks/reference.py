"""Reference data: a file with the summary of a training split, with which later data is compared."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from data.checks import profile
from data.errors import DataError
from data.files import atomic

_STATISTICS, _RUN = "statistics", "run"  # in the file, beside the profile's arrays


@dataclass(frozen=True)
class DataSummary:
    """Summary of a training split.

    Attributes:
        statistics: TFDV's statistics.
        arrays: Its profile.
        run: The run that read it; empty in a file of an older release.
    """

    statistics: statistics_pb2.DatasetFeatureStatisticsList
    arrays: profile.Arrays
    run: str = ""

    def write(self, path: Path) -> None:
        """Writes an .npz file atomically, readable by its owner only; its folder must exist."""
        statistics = np.frombuffer(self.statistics.SerializeToString(), np.uint8)
        with atomic.replacing(path) as staging:
            np.savez(staging, **self.arrays, **{_STATISTICS: statistics, _RUN: np.array(self.run)})
            staging.chmod(0o600)


@dataclass(frozen=True)
class Reference:
    """Data with which new data is compared.

    Attributes:
        path: The file of its summary.
        name: Which data it is, for a message.
        if_removed: What happens without the file, for a message.
        note: Why it is not the data that should be the reference; empty where it is.
    """

    path: Path
    name: str
    if_removed: str
    note: str = ""

    def read(self) -> DataSummary:
        """Returns the summary of the data; raises DataError where its file is damaged."""
        try:
            arrays = profile.load(self.path)
            statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(arrays.pop(_STATISTICS).tobytes())
            return DataSummary(statistics, arrays, str(arrays.pop(_RUN, "")))
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
