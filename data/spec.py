"""What a data set holds: its features and splits, in a form that can be written to JSON."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

SPLITS = ("train", "validation", "test")

# One example: feature name -> uint8 array for an image, int for a label.
Row = dict[str, Any]
# Split name -> its rows, read when iterated.
Splits = Mapping[str, Iterable[Row]]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageFeature(_Record):
    """An image of fixed size, stored as `height * width * channels` raw uint8 bytes, row by row."""

    kind: Literal["image"] = "image"
    height: PositiveInt
    width: PositiveInt
    channels: Literal[1, 3]


class LabelFeature(_Record):
    """A class, stored as an int64 index into `classes`."""

    kind: Literal["label"] = "label"
    classes: tuple[str, ...]


Feature = Annotated[ImageFeature | LabelFeature, Field(discriminator="kind")]


class DatasetSpec(_Record):
    """The facts about a data set that a task needs before any data is read.

    Attributes:
        name: Name in the catalog.
        title: One line for `headrace list`.
        licence: Licence of the examples, as the publisher states it.
        features: Feature name -> what it holds.
        num_rows: Split name -> number of examples.
        digest: Identifies the content: changes when, and only when, the examples do.
    """

    name: str
    title: str
    licence: str
    features: dict[str, Feature]
    num_rows: dict[str, PositiveInt]
    digest: str

    def only(self, kind: type) -> tuple[str, Any]:
        """Returns name and feature of the one feature of this kind; raises ValueError unless there is exactly one."""
        found = [(name, feature) for name, feature in self.features.items() if isinstance(feature, kind)]
        if len(found) != 1:
            raise ValueError(f"Data set {self.name} has {len(found)} features of kind {kind.__name__}, expected 1.")
        return found[0]


@dataclass(frozen=True)
class Dataset:
    """A named data set: its facts and the places it can be read from, in the order they are tried.

    Attributes:
        spec: The facts.
        sources: Source name -> function from a folder (or None for the usual place) to the splits. It raises
            SourceUnavailable where the data is not there, DataError where it is there and damaged.
    """

    spec: DatasetSpec
    sources: Mapping[str, Callable[[Path | None], Splits]]
