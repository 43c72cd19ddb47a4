"""How `headrace new` finds out the way a table is laid out: its delimiter, its header, remarks before it."""

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
from pipeline.commands.drafting.draft import TableOptions, typed

TAB = ("tab", "\\t", "\t")
MAX_NAMES = 8  # in an example
CONSISTENT = 0.95  # share of rows with the usual number of cells, for the delimiter to be beyond doubt


def table_options(
    form: str | None,
    delimiter: str | None,
    header: bool | None,
    names: str | None,
    confirm: Callable[[str], bool | None] | None = None,
    again: Callable[..., str] = typed,
    sheet: str | None = None,
) -> TableOptions:
    """Returns the options of the command line; raises ConfigError for what cannot be used."""
    if names is not None and header is not None:
        raise ConfigError("Expected --names, of a file without a header, or --header or --no-header, found both.")
    separator = delimiter_of(delimiter) if delimiter is not None else ""
    return TableOptions(
        form or "auto", separator, header, names_of(names) if names is not None else (), confirm, again, sheet or ""
    )


def delimiter_of(text: str) -> str:
    """Returns the delimiter that an option names, a character or a word; raises ConfigError where it is none."""
    if text.lower() in TAB:
        return "\t"
    if text.lower() == "space":
        return " "
    if len(text) != 1 or text in '"\r\n':
        raise ConfigError(f"--delimiter {text!r}: expected one character, tab or space.")
    return text


def names_of(text: str) -> tuple[str, ...]:
    """Returns the names that an option lists, `a,b,"c, d"`; raises ConfigError where one is empty or stands twice."""
    names = tuple(name.strip() for name in next(csv.reader([text]), []))
    twice = next((name for name in names if names.count(name) > 1), None)
    if not names or "" in names or twice is not None:
        what = f"{twice!r} twice" if twice else "an empty one"
        raise ConfigError(f"--names: expected different names with commas between, such as a,b,c; found {what}.")
    return names


def settings_of(path: Path, options: TableOptions) -> tuple[dict[str, Any], list[str]]:
    """Returns the settings that read a table, with `files`, and what a person should look at, a sentence each.

    Raises:
        ConfigError: The options do not suit the file, or its format cannot be told.
        DataError: It cannot be read, or its first row seems to be data and nobody can be asked.
    """
    config = DataConfig(files=str(path), format=options.format)  # type: ignore[arg-type]
    settings: dict[str, Any] = {"files": str(path)} | ({} if options.format == "auto" else {"format": options.format})
    try:
        kind = format_of(config, [path])
    except ConfigError:
        if not _is_table(path, options):
            raise ConfigError(_unknown_format(path, options)) from None
        kind = settings["format"] = "csv"
    _refuse_options(path, kind, options)
    if kind not in HEADED_KINDS:
        return settings, []
    if kind == "xlsx":
        sheet, unsure = _sheet(path, options)
        settings |= sheet
    else:
        delimiter, unsure = _delimiter(path, options)
        if delimiter != "," and not is_tsv(path):
            settings["delimiter"] = delimiter
    head = head_of(path, kind, config.model_copy(update={**settings, "header": options.header}))
    if head.remarks and not options.names:
        first = f"{head.remarks[0][0]}: {head.remarks[0][1][:40]!r}"
        unsure.append(f"the lines before line {head.first_line} are left out (line {first})")
    settings |= _names(path, kind, DataConfig(**settings), head, options, unsure)
    if kind == "csv" and head.usual < CONSISTENT:
        unsure.append(
            f"{1 - head.usual:.0%} of the first rows do not have {head.width} cells; if {head.delimiter!r} does not "
            "separate them: --delimiter"
        )
    return settings, unsure


def _refuse_options(path: Path, kind: str, options: TableOptions) -> None:
    """Raises ConfigError for an option that is not of this format."""
    if options.delimiter and kind != "csv":
        raise ConfigError(f"{path}: --delimiter is of CSV files, found {kind}.")
    if options.sheet and kind != "xlsx":
        raise ConfigError(f"{path}: --sheet is of Excel workbooks, found {kind}.")
    if (options.names or options.header is not None) and kind not in HEADED_KINDS:
        raise ConfigError(
            f"{path}: --header, --no-header and --names are of CSV files and Excel workbooks, found {kind}."
        )


def _sheet(path: Path, options: TableOptions) -> tuple[dict[str, str], list[str]]:
    """Returns the setting of the worksheet, and a doubt where there are others and nobody chose one."""
    if options.sheet:
        return {"sheet": options.sheet}, []
    first, *others = excel.sheets(path) or [""]
    if not others:
        return {}, []
    named = listed([repr(name) for name in others], MAX_NAMES)
    return {"sheet": first}, [f"the first worksheet, {first!r}, is read, there {_are(others)} {named}: --sheet"]


def other_sheets(path: Path, options: TableOptions) -> str:
    """Returns which worksheet of several is read because nobody chose one, and what to type for the others; or nothing.

    Raises:
        DataError: The file is no whole workbook.
    """
    is_workbook = format_of(DataConfig(files=str(path), format=options.format), [path]) == "xlsx"  # type: ignore[arg-type]
    names = excel.sheets(path) if is_workbook and not options.sheet else []
    if len(names) < 2:
        return ""
    ways = "".join(f"\n  {options.again(sheet=name)}" for name in names[1 : MAX_NAMES + 1])
    return f" It is worksheet {names[0]!r}, the first of {len(names)}; for another:{ways}"


def _are(names: Sequence[str]) -> str:
    return "is also" if len(names) == 1 else "are also"


def _is_table(path: Path, options: TableOptions) -> bool:
    """Returns whether a file whose ending does not say so is a CSV file: its first rows have as many cells each."""
    delimiter = options.delimiter or guess_delimiter(path)[0]
    head = look(path, Layout(delimiter))
    first = head.rows[0][1][0].lstrip() if head.rows else ""
    is_json = first.startswith(("{", "["))
    return not is_json and len(head.rows) > 1 and head.width > 1 and head.usual >= CONSISTENT


def _unknown_format(path: Path, options: TableOptions) -> str:
    """Returns that the format of a file cannot be told, and what to type where a person knows it."""
    again = options.again
    return (
        f"{path}: its format can be told neither by its ending nor by its first rows; say it, as for cells with tabs "
        f"between them:\n  {again(form='csv', delimiter='tab')}\n"
        f"or for JSON Lines or Parquet:\n  {again(form='jsonl')}\n  {again(form='parquet')}"
    )


def _delimiter(path: Path, options: TableOptions) -> tuple[str, list[str]]:
    if is_tsv(path):
        if options.delimiter not in ("", "\t"):
            raise ConfigError(f"{path}: cells of .tsv files are separated by tabs; rename it to .csv for --delimiter.")
        return "\t", []
    if options.delimiter:
        return options.delimiter, []
    found, others = guess_delimiter(path)
    alike = " or ".join(map(repr, others))
    return found, [f"the cells are separated by {found!r}; {alike} would do as well: --delimiter"] if others else []


def _names(
    path: Path, kind: str, config: DataConfig, head: Head, options: TableOptions, unsure: list[str]
) -> dict[str, Any]:
    """Returns the settings `header` and `names`, with what makes one doubt them added to `unsure`."""
    if options.names or options.header is False:
        verdict, _ = delimited.first_row(name_of(path), head_of(path, kind, config))
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
    return _asked(path, config, head, options, unsure)


def _asked(path: Path, config: DataConfig, head: Head, options: TableOptions, unsure: list[str]) -> dict[str, Any]:
    """Returns nothing where the first row is a header, else what a person says; raises DataError without one."""
    verdict, explained = delimited.first_row(name_of(path), head)
    if verdict.kind == "unclear":
        unsure.append(f"the first row is taken for a header ({verdict.reason}); if it is data: --no-header")
    if verdict.kind != "data":
        return {}
    is_data = options.confirm(f"{explained}. Is it data?") if options.confirm else None
    if is_data is None:
        again, width = options.again, head.width
        is_row = len(head.rows[0][1]) == width
        data = "data" if is_row else "no header, and left out"
        ways = {
            again(header=False): f"it is {data}; the columns are column_1, column_2 and so on",
            again(names=",".join(_example(width))): f"it is {data}; the {width} columns are called so",
        }
        if is_row:
            ways[again(header=True)] = "it holds the names"
        longest = max(map(len, ways))
        lines = [f"  {command:<{longest}}   {what}" for command, what in ways.items()]
        raise DataError("\n".join([f"{explained}. Say what it is:", *lines]))
    return {"header": not is_data}


def _example(width: int) -> Sequence[str]:
    names = [chr(ord("a") + number) for number in range(min(width, MAX_NAMES))]
    return [*names, "..."] if width > MAX_NAMES else names
