"""Infers the layout of a table for `headrace new`: format, delimiter, worksheet, header, and lines before it."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.scripts import listed
from data.sources.archives import name_of
from data.sources.tables import delimited, excel, headers
from data.sources.tables.dialect import Head, Layout, guess_delimiter, look
from data.sources.tables.formats import HEADED_KINDS, format_of, head_of, is_tsv
from pipeline.commands.drafting.draft import TableOptions, as_options

TAB = ("tab", "\\t", "\t")
MAX_NAMES = 8  # names in an example
CONSISTENT = 0.95  # smallest share of rows with the usual number of cells for which the delimiter is not called unsure


def table_options(
    format_: str | None,
    delimiter: str | None,
    header: bool | None,
    names: str | None,
    confirm: Callable[[str], bool | None] | None = None,
    command_with: Callable[..., str] = as_options,
    sheet: str | None = None,
) -> TableOptions:
    """Returns the options for tables from those of the command line; raises ConfigError for invalid ones."""
    if names is not None and header is not None:
        raise ConfigError("Expected --names, of a file without a header, or --header or --no-header, found both.")
    separator = delimiter_of(delimiter) if delimiter is not None else ""
    return TableOptions(
        format_ or "auto",
        separator,
        header,
        names_of(names) if names is not None else (),
        confirm,
        command_with,
        sheet or "",
    )


def delimiter_of(text: str) -> str:
    """Returns the delimiter for an option's value: one character, `tab` or `space`; raises ConfigError for others."""
    if text.lower() in TAB:
        return "\t"
    if text.lower() == "space":
        return " "
    if len(text) != 1 or text in '"\r\n':
        raise ConfigError(f"--delimiter {text!r}: expected one character, tab or space.")
    return text


def names_of(text: str) -> tuple[str, ...]:
    """Returns the names in an option such as `a,b,"c, d"`; raises ConfigError if one is empty or a duplicate."""
    names = tuple(name.strip() for name in next(csv.reader([text]), []))
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if not names or "" in names or duplicate is not None:
        problem = f"{duplicate!r} twice" if duplicate else "an empty one"
        raise ConfigError(f"--names: expected different names with commas between, such as a,b,c; found {problem}.")
    return names


def settings_of(path: Path, options: TableOptions) -> tuple[dict[str, Any], list[str]]:
    """Returns the settings under `data` with which a table is read, and sentences on doubtful guesses.

    Raises:
        ConfigError: An option does not apply to the file, or its format cannot be inferred.
        DataError: The file cannot be read, or its first row seems to be data and nobody can be asked.
    """
    config = DataConfig(files=str(path), format=options.format)  # type: ignore[arg-type]
    settings: dict[str, Any] = {"files": str(path)} | ({} if options.format == "auto" else {"format": options.format})
    try:
        file_format = format_of(config, [path])
    except ConfigError:
        if not _is_table(path, options):
            raise ConfigError(_unknown_format(path, options)) from None
        file_format = settings["format"] = "csv"
    _refuse_options(path, file_format, options)
    if file_format not in HEADED_KINDS:
        return settings, []
    if file_format == "xlsx":
        sheet, unsure = _sheet(path, options)
        settings |= sheet
    else:
        delimiter, unsure = _delimiter(path, options)
        if delimiter != "," and not is_tsv(path):
            settings["delimiter"] = delimiter
    head = head_of(path, file_format, config.model_copy(update={**settings, "header": options.header}))
    if head.remarks and not options.names:
        first = f"{head.remarks[0][0]}: {head.remarks[0][1][:40]!r}"
        unsure.append(f"the lines before line {head.first_line} are left out (line {first})")
    settings |= _header_settings(path, file_format, DataConfig(**settings), head, options, unsure)
    if file_format == "csv" and head.usual_share < CONSISTENT:
        unsure.append(
            f"{1 - head.usual_share:.0%} of the first rows do not have {head.width} cells; if {head.delimiter!r} does "
            "not separate them: --delimiter"
        )
    return settings, unsure


def _refuse_options(path: Path, file_format: str, options: TableOptions) -> None:
    """Raises ConfigError for an option that does not apply to the format."""
    if options.delimiter and file_format != "csv":
        raise ConfigError(f"{path}: --delimiter is of CSV files, found {file_format}.")
    if options.sheet and file_format != "xlsx":
        raise ConfigError(f"{path}: --sheet is of Excel workbooks, found {file_format}.")
    if (options.names or options.header is not None) and file_format not in HEADED_KINDS:
        raise ConfigError(
            f"{path}: --header, --no-header and --names are of CSV files and Excel workbooks, found {file_format}."
        )


def _sheet(path: Path, options: TableOptions) -> tuple[dict[str, str], list[str]]:
    """Returns the setting `sheet`, and a sentence on other worksheets if none was chosen."""
    if options.sheet:
        return {"sheet": options.sheet}, []
    first, *others = excel.sheets(path) or [""]
    if not others:
        return {}, []
    other_names = listed([repr(name) for name in others], MAX_NAMES)
    return {"sheet": first}, [f"the first worksheet, {first!r}, is read, there {_are(others)} {other_names}: --sheet"]


def other_sheets(path: Path, options: TableOptions) -> str:
    """Returns a note on the worksheet that is read by default, with the commands for the others; else an empty text.

    Raises:
        DataError: The workbook is incomplete or damaged.
    """
    is_workbook = format_of(DataConfig(files=str(path), format=options.format), [path]) == "xlsx"  # type: ignore[arg-type]
    names = excel.sheets(path) if is_workbook and not options.sheet else []
    if len(names) < 2:
        return ""
    commands = "".join(f"\n  {options.command_with(sheet=name)}" for name in names[1 : MAX_NAMES + 1])
    return f" It is worksheet {names[0]!r}, the first of {len(names)}; for another:{commands}"


def _are(names: Sequence[str]) -> str:
    return "is also" if len(names) == 1 else "are also"


def _is_table(path: Path, options: TableOptions) -> bool:
    """Returns whether a file of unknown ending is a CSV file: its first rows have equal numbers of cells."""
    delimiter = options.delimiter or guess_delimiter(path)[0]
    head = look(path, Layout(delimiter))
    first = head.rows[0][1][0].lstrip() if head.rows else ""
    is_json = first.startswith(("{", "["))
    return not is_json and len(head.rows) > 1 and head.width > 1 and head.usual_share >= CONSISTENT


def _unknown_format(path: Path, options: TableOptions) -> str:
    """Returns the message for a file of unknown format, with the commands that name the format."""
    command_with = options.command_with
    return (
        f"{path}: its format can be told neither by its ending nor by its first rows; say it, as for cells with tabs "
        f"between them:\n  {command_with(format_='csv', delimiter='tab')}\n"
        f"or for JSON Lines or Parquet:\n  {command_with(format_='jsonl')}\n  {command_with(format_='parquet')}"
    )


def _delimiter(path: Path, options: TableOptions) -> tuple[str, list[str]]:
    if is_tsv(path):
        if options.delimiter not in ("", "\t"):
            raise ConfigError(f"{path}: cells of .tsv files are separated by tabs; rename it to .csv for --delimiter.")
        return "\t", []
    if options.delimiter:
        return options.delimiter, []
    delimiter, others = guess_delimiter(path)
    alternatives = " or ".join(map(repr, others))
    return delimiter, [
        f"the cells are separated by {delimiter!r}; {alternatives} would do as well: --delimiter"
    ] if others else []


def _header_settings(
    path: Path, file_format: str, config: DataConfig, head: Head, options: TableOptions, unsure: list[str]
) -> dict[str, Any]:
    """Returns the settings `header` and `names`; adds sentences on doubtful guesses to `unsure`."""
    if options.names or options.header is False:
        verdict, _ = delimited.first_row(name_of(path), head_of(path, file_format, config))
        if verdict.kind == "header" and verdict.reason:
            unsure.append(
                f"the first row is taken for data, though it looks like names ({verdict.reason}); if it is the header: "
                f"give --header in the place of {'--names' if options.names else '--no-header'}"
            )
    if options.names:
        first = head.rows[0][1] if head.rows else []
        width = head.width - all(not cells[-1] for _, cells in head.rows if len(cells) == head.width)
        if len(options.names) not in (width, head.width):
            raise ConfigError(
                f"--names: expected {width} names, the rows of {path} have as many cells; found {len(options.names)}."
            )
        if sorted(headers.resolved(first, options.names)) == sorted(options.names):
            raise ConfigError(f"--names: the first row of {path} holds these names; leave the option out.")
        return {"names": list(options.names)}
    if options.header is not None:
        return {"header": options.header}
    return _header_setting(path, config, head, options, unsure)


def _header_setting(
    path: Path, config: DataConfig, head: Head, options: TableOptions, unsure: list[str]
) -> dict[str, Any]:
    """Returns an empty dictionary if the first row is a header; else the setting `header` as a person answers.

    Raises:
        DataError: The first row seems to be data, and there is no answer.
    """
    verdict, explained = delimited.first_row(name_of(path), head)
    if verdict.kind == "unclear":
        unsure.append(f"the first row is taken for a header ({verdict.reason}); if it is data: --no-header")
    if verdict.kind != "data":
        return {}
    is_data = options.confirm(f"{explained}. Is it data?") if options.confirm else None
    if is_data is None:
        command_with, num_columns = options.command_with, head.width
        is_row = len(head.rows[0][1]) == num_columns
        data = "data" if is_row else "no header, and left out"
        descriptions = {
            command_with(header=False): f"it is {data}; the columns are column_1, column_2 and so on",
            command_with(
                names=",".join(_example(num_columns))
            ): f"it is {data}; the {num_columns} columns are called so",
        }
        if is_row:
            descriptions[command_with(header=True)] = "it holds the names"
        width = max(map(len, descriptions))
        lines = [f"  {command:<{width}}   {description}" for command, description in descriptions.items()]
        raise DataError("\n".join([f"{explained}. Say what it is:", *lines]))
    return {"header": not is_data}


def _example(width: int) -> Sequence[str]:
    names = [chr(ord("a") + number) for number in range(min(width, MAX_NAMES))]
    return [*names, "..."] if width > MAX_NAMES else names
