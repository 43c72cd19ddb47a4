"""Settings of where data comes from. Loads no TensorFlow."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from data.numerals import Notation
from data.spec import SPLITS, Feature

Format = Literal["auto", "csv", "jsonl", "parquet", "xlsx", "image_folder", "text_folder", "tfrecord"]
TABLE_ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet",
    ".tfrecord": "tfrecord", ".tfrecords": "tfrecord", ".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "xlsx",
}  # fmt: skip
"""Ending of a table -> its format."""
Rate = Annotated[float, Field(ge=0, le=1)]
Paths = str | tuple[str, ...]


class Settings(BaseModel):
    """A record of settings: unknown keys are refused, values cannot be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _choices_in_any_case(cls, values: Any) -> Any:
        """Accepts the choices of a setting in any case, and false and true for off and on."""
        if not isinstance(values, dict):
            return values
        normalized = {
            name: ("on" if value else "off") if isinstance(value, bool) else value.lower()
            for name, value in values.items()
            if isinstance(value, bool | str)
        }
        annotations = {name: cls.model_fields[name].annotation for name in normalized if name in cls.model_fields}
        return {
            **values,
            **{name: normalized[name] for name, kind in annotations.items() if normalized[name] in _choices(kind)},
        }


def _choices(kind: Any) -> tuple[Any, ...]:
    """Returns the values of a Literal, also of a Literal that is a member of a union."""
    return get_args(kind) if get_origin(kind) is Literal else sum((_choices(member) for member in get_args(kind)), ())


class Check(Settings):
    """What to do about the rows that a check finds."""

    policy: Literal["stop", "drop", "warn"] = "stop"
    """stop: refuse the data; drop: leave such rows out and report how many; warn: report how many."""
    max_rate: Rate = 0.0
    """Share of a split's rows up to which the check is silent."""


class InvalidCheck(Settings):
    """What to do about rows with an unusable cell; such rows are never kept."""

    policy: Literal["stop", "drop"] = "stop"
    """stop: refuse the data; drop: leave such rows out and report how many."""
    max_rate: Rate = 0.05
    """Share of a split's rows that may be dropped; with more the data is refused all the same."""


class DriftCheck(Settings):
    """What to do when data has drifted from that of the live version, or while nothing is live from the last accepted.

    Drift from the last accepted data is reported in both cases.
    """

    policy: Literal["stop", "warn", "off"] = "stop"
    """stop: refuse the data; warn: report it and go on; off: do not check."""
    max_distance: Rate = 0.1
    """Greatest distance allowed: Kolmogorov-Smirnov of numbers and of images' brightness, difference of shares."""


class DataChecks(Settings):
    """Checks of the rows while they are read, and of the data set as a whole afterwards."""

    invalid: InvalidCheck = InvalidCheck()
    """Rows with a missing cell, one of the wrong type, NaN, infinity, an unknown class or an unreadable image."""
    duplicates: Check = Check(max_rate=0.01)
    """Rows with the same input as an earlier row of their split."""
    leakage: Check | None = None
    """Rows with the same input as a row of another split; null: none is allowed, but where Headrace itself splits the
    files the limits of duplicates hold, since rows may differ in ignored columns only."""
    drift: DriftCheck = DriftCheck()
    """Drift from the data of the live version, or from the last accepted data while nothing is live: of the
    distributions of numbers and of brightness, and of class shares; and classes whose labels were swapped."""
    min_rows: PositiveInt = 2
    """Least number of rows of a split."""
    min_classes: PositiveInt = 2
    """Least number of classes in a split, where there are labels."""


class SplitShares(Settings):
    """Shares of the rows that become the splits for which `files` names no files."""

    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the validation split."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the test split."""


class Roles(Settings):
    """Columns with a purpose other than being a feature."""

    group: str | None = None
    """Column whose equal values stay in one split, such as a customer or a speaker, and count as one in intervals."""
    id: str | None = None
    """Column that identifies a row, which stays in its split when other cells of it are corrected; in predictions and
    worst mistakes, never an input."""
    time: str | None = None
    """Column of dates or numbers to split by: the oldest rows are for training, the newest for testing."""
    weight: str | None = None
    """Column of sample weights, numbers of at least 0, in the loss and in all metrics; never an input."""


def _by_kind(value: Any) -> Any:
    """`age: number` is short for `age: {kind: number}`."""
    return {"kind": value} if isinstance(value, str) else value


class DataConfig(Settings):
    """The data: a named data set of the catalog, or files, with columns, splits and checks."""

    name: str | None = None
    """Name in the catalog; `headrace list` shows them."""
    source: str = "auto"
    """One of the named data set's sources; auto tries them in order."""
    folder: Path | None = None
    """Folder that the named data set's source reads; null for its default."""
    files: Paths | dict[Literal["train", "validation", "test"], Paths] | None = None
    """Files, folders or patterns such as data/*.csv.gz, from the run file's folder; or those of each split."""
    window: PositiveInt | None = None
    """How many of the newest spans, numbers or days, are used, of files whose paths have {SPAN} or {YYYY}, {MM} and
    {DD}; null for all."""
    test_spans: NonNegativeInt = 0
    """How many of the newest spans become the test split; 0: the test split is cut by content."""
    format: Format = "auto"
    """auto: by the files' ending; a folder holds images or texts, in one folder for each class, or Parquet files, where
    folders named column=value add columns."""
    label: str | None = None
    """Column to be predicted, instead of features, which are inferred from all rows of the table."""
    features: dict[str, Annotated[Feature, BeforeValidator(_by_kind)]] = Field(default_factory=dict)
    """Column -> its kind, such as number, category, text, date, image or label, with the kind's settings."""
    ignore: tuple[str, ...] = ()
    """Columns of the files that are not used."""
    missing_values: tuple[str, ...] = ("",)
    """Texts that mark a missing value; in files with typed columns, where NaN does, too, only in optional features."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of numbers in cells that are text."""
    thousands: Literal["", ",", ".", " ", "'"] = ""
    """Thousands separator of numbers in cells that are text; a blank is one of any width."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Delimiter of a CSV file; a tab in files ending with .tsv."""
    header: bool | None = None
    """Whether the first row of a CSV file or worksheet holds the columns' names; false: they are column_1, column_2 and
    so on. null: it does, and where columns are inferred a first row that looks like data is refused."""
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of the columns of a CSV file or worksheet without a header, from left to right."""
    sheet: str | None = None
    """Worksheet of an Excel workbook; null for the first one."""
    splits: SplitShares = SplitShares()
    """Sizes of the splits for which `files` names no files."""
    train_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training split to train on, chosen by content."""
    roles: Roles = Roles()
    """Columns that are more than inputs. A row's split is decided by its time, or its group before its id; without them
    by all its cells but the label, and classes with under 100 rows are stratified."""
    split_by: str | None = None
    """Another name of roles.group."""
    checks: DataChecks = DataChecks()
    """Limits for invalid rows, duplicates, leakage between splits, drift, rows and classes."""

    @field_validator("thousands")
    @classmethod
    def _check_thousands(cls, thousands: str, values: ValidationInfo) -> str:
        decimal = values.data.get("decimal")
        if thousands == decimal:
            other_mark = "," if decimal == "." else "."
            raise ValueError(
                f"another mark than that of data.decimal, {decimal!r} (set data.decimal to {other_mark!r})"
            )
        return thousands

    @model_validator(mode="after")
    def _check_combination(self):
        if (self.name is None) == (self.files is None):
            raise ValueError("either name, a data set of the catalog, or files")
        if self.name is not None and (self.window or self.test_spans):
            raise ValueError("window and test_spans with files in spans only")
        if self.name is not None and self.role_columns:
            raise ValueError("roles with files only: a data set of the catalog has the splits of its publisher")
        for setting, column in self.no_inputs.items():
            if column in self.features or column == self.label:
                raise ValueError(
                    f"{setting}: a column that no model learns from; take {column!r} out of data.features, or the role "
                    "out"
                )
        if self.label is not None and self.features:
            raise ValueError("either features, or label to have them inferred")
        if self.names and self.header:
            raise ValueError("either names, of a file without a header, or header: true")
        duplicates = [name for name in self.names if self.names.count(name) > 1]
        if duplicates:
            raise ValueError(f"each of names once, found {duplicates[0]!r} twice")
        if isinstance(self.files, dict) and "train" not in self.files:
            raise ValueError(f"files of {SPLITS[0]} among the splits")
        if self.split_by and self.roles.group:
            raise ValueError("either roles.group or split_by, which is its other name")
        if self.roles.time and (self.group or self.roles.id):
            conflicting_role = "roles.id" if self.roles.id else "split_by" if self.split_by else "roles.group"
            raise ValueError(
                f"either roles.time or {conflicting_role}: rows that are split by time are split by nothing else"
            )
        if self.roles.time and (isinstance(self.files, dict) or self.test_spans):
            conflict = "test_spans" if self.test_spans else "files of each split"
            raise ValueError(f"either roles.time or {conflict}: by time Headrace cuts all splits of the same files")
        return self

    @property
    def notation(self) -> Notation:
        """How numbers are written in text files."""
        return Notation(self.decimal, self.thousands)

    @property
    def group(self) -> str | None:
        """The column whose equal values stay in one split."""
        return self.roles.group or self.split_by

    @property
    def set_roles(self) -> dict[str, str]:
        """Setting of a role, such as data.roles.id -> its column; only roles that are set."""
        columns = {"data.roles.group": self.roles.group, "data.split_by": self.split_by}
        columns |= {"data.roles.id": self.roles.id, "data.roles.time": self.roles.time}
        columns |= {"data.roles.weight": self.roles.weight}
        return {setting: column for setting, column in columns.items() if column}

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that decide a row's split by their texts: that of its group, that of its id."""
        return tuple(name for name in (self.group, self.roles.id) if name)

    @property
    def no_inputs(self) -> dict[str, str]:
        """Setting of a role whose column is never an input -> that column; only roles that are set."""
        columns = {"data.roles.id": self.roles.id, "data.roles.weight": self.roles.weight}
        return {setting: column for setting, column in columns.items() if column}

    @property
    def role_columns(self) -> tuple[str, ...]:
        """The columns with a role, which need not be features."""
        return tuple(self.set_roles.values())

    @property
    def cut_shares(self) -> dict[str, float]:
        """Split that is cut off the training files -> its share of the rows."""
        if self.files is None:
            return {}
        with_own_files = {
            *(self.files if isinstance(self.files, dict) else ()),
            *(("test",) if self.test_spans else ()),
        }
        return {split: getattr(self.splits, split) for split in SPLITS[1:] if split not in with_own_files}

    @property
    def row_checks(self) -> DataChecks:
        """The checks, with the default of `leakage` filled in: that of duplicates where Headrace splits the files."""
        is_cut_here = self.files is not None and not isinstance(self.files, dict)
        return self.checks.model_copy(
            update={"leakage": self.checks.leakage or self.checks.duplicates} if is_cut_here else {}
        )
