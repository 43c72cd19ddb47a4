"""Reads data sets prepared by TensorFlow Datasets; prepares them first where there is a network."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from data.errors import SourceUnavailable
from data.spec import Row


@dataclass(frozen=True)
class TfdsSplit:
    """One split of a prepared TFDS data set, as rows of NumPy values; can be iterated more than once.

    Attributes:
        builder: The `tfds.core.DatasetBuilder` whose data is prepared.
        split: TFDS's split string, such as `train` or `train[:90%]`.
        keys: TFDS's feature name -> ours.
    """

    builder: object
    split: str
    keys: Mapping[str, str]

    def __iter__(self) -> Iterator[Row]:
        import tensorflow_datasets as tfds

        read_config = tfds.ReadConfig(interleave_cycle_length=1)  # one shard after the other: the order is fixed
        dataset = self.builder.as_dataset(split=self.split, shuffle_files=False, read_config=read_config)
        for row in tfds.as_numpy(dataset):
            yield {ours: row[theirs] for theirs, ours in self.keys.items()}


def read_tfds(
    name: str, folder: Path | None, splits: Mapping[str, str], keys: Mapping[str, str]
) -> dict[str, Iterable[Row]]:
    """Returns the splits of a TFDS data set, preparing it first where it is not prepared yet.

    Args:
        name: TFDS's name, such as `fashion_mnist`.
        folder: TFDS's data folder; None for its default.
        splits: Our split name -> TFDS's split string.
        keys: TFDS's feature name -> ours.

    Raises:
        SourceUnavailable: TFDS does not know the name, or it is not prepared and cannot be downloaded.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    try:
        builder = tfds.builder(name, data_dir=folder)
        builder.download_and_prepare()
    except Exception as error:  # TFDS and its downloader raise whatever their transport raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceUnavailable(
            f"TFDS could not prepare {name} in {folder or 'its default folder'} ({reason[:160]})."
        ) from error
    return {ours: TfdsSplit(builder, theirs, dict(keys)) for ours, theirs in splits.items()}
