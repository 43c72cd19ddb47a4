"""Features and splits of a data set, in a form that can be written to JSON."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

_Settings = TypeVar("_Settings", bound=BaseModel)

SPLITS = ("train", "validation", "test")
# The test split is read first, so that of two equal rows the training row is dropped.
READ_ORDER = ("test", "validation", "train")

WEIGHT = "(weight)"
"""Feature of a stored example: how much the row counts in loss and metrics; absent where all count alike."""

# One example: feature name -> uint8 array for an image, int for a label, float for a number, str for text and so on.
Row = dict[str, Any]


class LocatedRow(dict):
    """A row that knows where it was read: `where` is the file and the row in it.

    `group` is the group that it belongs to, such as a user; None for none. `files` are the encoded pictures that its
    pixels were decoded from, by feature; raw pixels have none.
    """

    def __init__(self, values: Row, where: str, group: str | None = None, files: Mapping[str, bytes] | None = None):
        super().__init__(values)
        self.where, self.group, self.files = where, group, files or {}


@dataclass(frozen=True)
class Problem:
    """A cell that cannot be used.

    Attributes:
        where: File and row, as a message names them.
        column: Its column; empty for a problem of the row as a whole.
        expected: What a usable cell holds.
        found: What the cell holds.
        number: Number of the row in its file: its line in a text file, else counted from 1; 0 where the row is a file.
    """

    where: str
    column: str
    expected: str
    found: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.where}{':' + self.column if self.column else ''}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class BadRow:
    """Takes the place of a row that cannot be used."""

    problems: tuple[Problem, ...]


# Split name -> its rows, read when iterated.
Splits = Mapping[str, Iterable[Row]]
# Rows in the order in which they are read, each with its split.
Stream = Iterable[tuple[str, Row | BadRow]]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _check_unit(unit: str) -> str:
    if unit and not UNIT.fullmatch(unit):
        raise ValueError(f"a unit such as EUR, km or %, without blanks around it, found {unit!r}")
    return unit


# A unit is no part of a number: it begins with no digit, sign or separator, and is not the e of 1e5.
UNIT = re.compile(r"(?![eE]\d*$)[^\d\s+\-\u2212.,'\u2019_](.{0,10}\S)?")
Unit = Annotated[str, AfterValidator(_check_unit)]


Stored = Literal["bytes", "int", "float"]


class _Feature(_Record):
    """What all kinds of features have in common.

    Attributes:
        stored_as: See `stored`.
        is_list: Whether a row has a list of values, not one.
        target: Whether it is what a model predicts, and never an input.
        optional: Whether a row may lack it.
    """

    stored_as: ClassVar[Stored] = "bytes"
    is_list: ClassVar[bool] = False
    target: ClassVar[bool] = False

    @property
    def stored(self) -> Stored:
        """How tf.train.Example holds it: `bytes`, `int` (int64) or `float` (float32)."""
        return self.stored_as


class _RequiredFeature(_Feature):
    """A feature that every row has."""

    optional: ClassVar[bool] = False


class _OptionalFeature(_Feature):
    optional: bool = False
    """Whether a row may lack it."""


class ImageFeature(_RequiredFeature):
    """An image of fixed size, stored as `height * width * channels` raw uint8 bytes, row by row."""

    kind: Literal["image"] = "image"
    """Type of the column."""
    height: PositiveInt
    """Pixels from top to bottom; images of files are resized to it."""
    width: PositiveInt
    """Pixels from left to right; images of files are resized to it."""
    channels: Literal[1, 3]
    """1 for grey, 3 for red, green and blue."""


class LabelFeature(_RequiredFeature):
    """A class to be predicted, stored as an int64 index into `classes`."""

    stored_as = "int"
    target = True
    kind: Literal["label"] = "label"
    """Type of the column."""
    classes: tuple[str, ...] = ()
    """Names of the classes; of an image or text folder the names of its folders."""
    index_from: int | None = None
    """Index of the first class, such as 0 or 1, where the column holds indices; null: it holds names."""


class NumberFeature(_OptionalFeature):
    """A finite number, stored as float32; absent where `optional` allows it."""

    stored_as = "float"
    kind: Literal["number"] = "number"
    """Type of the column."""
    min: float | None = None
    """Least value that can be right."""
    max: float | None = None
    """Greatest value that can be right."""
    unit: Unit = ""
    """Unit written before or after the number in text files, such as EUR, km or %: 3% is 3."""


class TargetFeature(_RequiredFeature):
    """A finite number to be predicted, stored as float32."""

    stored_as = "float"
    target = True
    kind: Literal["target"] = "target"
    """Type of the column."""
    min: float | None = None
    """Least value that can be right."""
    max: float | None = None
    """Greatest value that can be right."""
    unit: Unit = ""
    """Unit written before or after the number in text files, such as EUR, km or %: 3% is 3."""


class BooleanFeature(_OptionalFeature):
    """Yes or no, stored as 1 or 0 in float32; absent where `optional` allows it."""

    stored_as = "float"
    kind: Literal["boolean"] = "boolean"
    """Type of the column."""


class SequenceFeature(_OptionalFeature):
    """Numbers or categories in order, as many as a row has; stored as float32 or UTF-8, step after step.

    A row without a step is a row without a value.
    """

    is_list = True
    kind: Literal["sequence"] = "sequence"
    """Type of the column."""
    of: Literal["number", "category"] = "number"
    """Type of the values of a step."""
    width: PositiveInt = 1
    """Values of a step; more than one only of numbers, as `[[1, 2], [3, 4]]`."""
    separator: str = ""
    """Separator of the steps in a cell of text, such as `|` or a blank; empty: such a cell is a JSON array."""
    max_length: PositiveInt = 1000
    """Most steps of a row."""
    too_long: Literal["refuse", "first", "last"] = "refuse"
    """A row with more steps: refuse: it cannot be used; first, last: its first or last `max_length` steps are kept."""
    min: float | None = None
    """Least number that can be right."""
    max: float | None = None
    """Greatest number that can be right."""
    values: tuple[str, ...] = ()
    """The categories allowed; empty for any."""

    @property
    def stored(self) -> Stored:
        """How tf.train.Example holds the values."""
        return "float" if self.of == "number" else "bytes"

    @model_validator(mode="after")
    def _check_of(self) -> "SequenceFeature":
        of_numbers = self.width > 1 or self.min is not None or self.max is not None
        if self.of == "category" and of_numbers:
            raise ValueError(
                "width, min and max are of numbers, found them of categories; take them out, or set of: number"
            )
        if self.of == "number" and self.values:
            raise ValueError("values are of categories, found them of numbers; take them out, or set of: category")
        return self


class TensorFeature(_OptionalFeature):
    """Numbers of a fixed shape, stored as their raw bytes, the last axis fastest, little-endian."""

    kind: Literal["tensor"] = "tensor"
    """Type of the column."""
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Size of each axis."""
    dtype: Literal["float32", "uint8", "int8", "int16", "int32"] = "float32"
    """How each number is stored; one that it cannot hold makes a row unusable."""


class DateFeature(_OptionalFeature):
    """A date or a moment, stored as int64 seconds since 1970 in UTC; absent where `optional` allows it."""

    stored_as = "int"
    kind: Literal["date"] = "date"
    """Type of the column."""
    format: str = "iso"
    """iso: ISO 8601; unix: seconds since 1970; else a format of Python's strptime, such as %d.%m.%Y."""


class CategoryFeature(_OptionalFeature):
    """One of several values, stored as UTF-8; absent where `optional` allows it."""

    kind: Literal["category"] = "category"
    """Type of the column."""
    values: tuple[str, ...] = ()
    """The values allowed; empty for any."""


class TextFeature(_OptionalFeature):
    """Unicode text, stored as UTF-8; absent where `optional` allows it."""

    kind: Literal["text"] = "text"
    """Type of the column."""


Feature = Annotated[
    ImageFeature
    | LabelFeature
    | NumberFeature
    | TargetFeature
    | BooleanFeature
    | DateFeature
    | SequenceFeature
    | TensorFeature
    | CategoryFeature
    | TextFeature,
    Field(discriminator="kind"),
]


class DatasetSpec(_Record):
    """The facts about a data set that a task needs before any data is read.

    Attributes:
        name: Name in the catalog, or of the pipeline where a run file names files.
        title: One line for `headrace list`.
        licence: Licence of the examples, as the publisher states it.
        features: Feature name -> what it holds.
        num_rows: Split name -> number of examples; empty where that is not known before reading.
        id_column: Column that identifies a row; None without one. It is no feature.
        weight_column: Column of the rows' weights in loss and metrics; None where they count alike. It is no feature;
            a stored example has its value as feature WEIGHT.
    """

    name: str
    title: str
    licence: str
    features: dict[str, Feature]
    num_rows: dict[str, PositiveInt] = Field(default_factory=dict)
    # Left out where they are None: a cache key holds the spec as JSON.
    id_column: str | None = Field(None, exclude_if=lambda name: name is None)
    weight_column: str | None = Field(None, exclude_if=lambda name: name is None)

    def row_bytes(self) -> int:
        """Returns the approximate size of one stored example in bytes."""
        sizes = [
            feature.height * feature.width * feature.channels if isinstance(feature, ImageFeature) else 8
            for feature in self.features.values()
        ]
        return sum(sizes) + 64

    def of(self, *kinds: type) -> dict[str, Any]:
        """Returns the features of these kinds, by name."""
        return {name: feature for name, feature in self.features.items() if isinstance(feature, kinds)}

    def targets(self) -> tuple[str, ...]:
        """Returns the names of the features that a model predicts."""
        return tuple(name for name, feature in self.features.items() if feature.target)

    def only(self, kind: type) -> tuple[str, Any]:
        """Returns name and feature of the one feature of this kind; raises ValueError unless there is exactly one."""
        features = self.of(kind)
        if len(features) != 1:
            kind_name = kind.__name__.removesuffix("Feature").lower()
            raise ValueError(f"expected one feature of kind {kind_name}, data set {self.name} has {len(features)}.")
        return next(iter(features.items()))


@dataclass(frozen=True)
class Dataset:
    """A data set: its facts and the sources it can be read from, in the order they are tried.

    Attributes:
        spec: The facts.
        digest: Returns a digest of the content: it changes when, and only when, the examples change.
        sources: Source name -> function from a folder (None for the default) to the splits, or to all rows as
            `data.columnar.batches.Batch`es. It raises SourceUnavailable where the data is missing, DataError where it
            is damaged.
        estimate: Returns the approximate size of all stored examples in bytes, where the number of rows is not known.
        inferred: Settings of section `data` that were inferred from all rows and replace those of the run file:
            features, missing-value markers, decimal mark. Empty where the run file sets all.
        spans: Returns the spans it consists of, the oldest first: name -> digest of its content; None without spans.
        split_rule: Returns, as JSON values, the rule that assigns rows to splits: with the same rule no row is in one
            run's test split and in another's training split. None: the splits are the publisher's.
        split_plan: Returns, as JSON values, the facts about all rows that the splits depend on: `stratified`, label ->
            its classes with under 100 rows, or `time`, the first times of splits. None: they depend on none.
        columns: Returns the names of all columns of its files, also of those that are not features. None: the columns
            are the features.
        trusting_digest: Returns `digest` without reading files that are unchanged by size, time and inode; None:
            `digest` reads no files.
        last_change: Returns when one of its files was changed last, seconds since 1970. None: they never change.
        files: Returns the files that hold all content of its rows. None: they are not known.
        left_out: Returns sentences about files in its folders that are not read. None: there are none.
    """

    spec: DatasetSpec
    digest: Callable[[], str]
    sources: Mapping[str, Callable[[Path | None], Splits | Iterable[Any]]]
    estimate: Callable[[], int] | None = None
    inferred: Mapping[str, Any] = field(default_factory=dict)
    spans: Callable[[], dict[str, str]] | None = None
    split_rule: Callable[[], dict[str, Any]] | None = None
    split_plan: Callable[[], dict[str, Any]] | None = None
    columns: Callable[[], list[str]] | None = None
    trusting_digest: Callable[[], str] | None = None
    last_change: Callable[[], float] | None = None
    files: Callable[[], list[Path]] | None = None
    left_out: Callable[[], list[str]] | None = None

    def is_settled(self, seconds: float) -> bool:
        """Returns whether no file of it was changed in the last `seconds`: a file being written is incomplete."""
        return self.last_change is None or time.time() - self.last_change() >= seconds

    def read_by(self, config: _Settings) -> _Settings:
        """Returns section `data` of the run file, `config`, with the inferred settings: rows are read by them."""
        return config.model_copy(update=dict(self.inferred))

    def notes(self) -> list[str]:
        """Returns `left_out()`; empty without it."""
        return self.left_out() if self.left_out else []

    def last_digest(self) -> str:
        """Returns the digest without reading unchanged files, for a check every minute; a run uses `digest`."""
        return self.trusting_digest() if self.trusting_digest else self.digest()

    def rule(self) -> dict[str, Any]:
        """Returns the rule that assigns rows to splits; of a data set with its publisher's splits its name."""
        return self.split_rule() if self.split_rule else {"data": self.spec.name}

    def plan(self) -> dict[str, Any]:
        """Returns `split_plan()`; empty without it."""
        return self.split_plan() if self.split_plan else {}

    def num_bytes(self) -> int:
        """Returns the approximate size of all stored examples in bytes."""
        return self.estimate() if self.estimate else sum(self.spec.num_rows.values()) * self.spec.row_bytes()
