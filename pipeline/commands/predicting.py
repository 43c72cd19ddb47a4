"""The subcommand `predict`: predictions of a published model."""

import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data.errors import DataError, HeadraceError
from data.secrets import hide
from data.texts import to_json
from pipeline.commands.shared import PipelineName, echo_error, home_option, json_option, reports_errors, typed

if TYPE_CHECKING:
    from pipeline.live.predicting import Predictions
    from pipeline.live.predictions import Prediction, PredictionBatch

MAX_SHOWN = 10  # errors printed, unless --json or --out writes all of them


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="A text, or a user's name, in the place of a file.")
@click.option("--version", type=int, help="A published version; the one that is live by default.")
@click.option(
    "--server", metavar="URL", help="REST API of a server; by default the one that runs on this home, if any."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "jsonl", "parquet", "xlsx", "tfrecord"]),
    help="Of tables; by their ending by default.",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    help="Delimiter of a CSV file, tab for a tab; as in the training data by default.",
)
@click.option(
    "--decimal",
    type=click.Choice([".", ","]),
    help="Decimal mark of numbers; as in the training data by default.",
)
@click.option(
    "--thousands",
    type=click.Choice([",", ".", " ", "'", ""]),
    metavar="MARK",
    help="Thousands separator of numbers; with --decimal none by default, else as in the training data.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a table of the predictions: .csv, .parquet or .jsonl.",
)
@click.option("--force", is_flag=True, help="Write over the file of --out.")
@home_option
@json_option
@reports_errors
def predict(pipeline: str, files: tuple[Path, ...], texts: tuple[str, ...], version: int | None, server: str | None,
            format_: str | None, delimiter: str | None, decimal: str | None, thousands: str | None,
            out: Path | None, force: bool, home: Path,
            as_json: bool) -> None:  # fmt: skip
    """Ask a published model about files or texts.

    FILES are images of any size, texts, or tables with a row for each prediction; PIPELINE names the model.

    A model of images or texts takes tables of those, too, with the column that it learned from, or with only one
    column. Of a folder all files are read that the model takes as input; hidden files are left out.

    \b
    Examples:
      headrace predict fashion_mnist shoe.png
      headrace predict digits scans/ --json
      headrace predict sentiment --text "What a film!"
      headrace predict sentiment reviews.jsonl letters/
      headrace predict credit applications.csv
      headrace predict credit applications.csv --out predictions.parquet
      headrace predict credit export.txt --format csv --delimiter ";" --out predictions.csv --force
      headrace predict movies --text 15
      headrace predict credit applications.csv --server http://10.0.0.7:8501

    Rows are counted from 1 below the header, on the screen, in --json and in --out alike; an error names the line
    of the file as well.

    --out reads and writes some thousand rows at a time, for files of any size. Its columns: file and row, and id
    where the run file has data.roles.id, or text, to join the predictions with the input; version; class,
    probability and one such as probability_yes for each class (of over 100 classes, or of items, the best ones:
    item, score, item_2, score_2 ...), or value; error.

    Exit codes: 0 success; 2 settings or usage; 3 a row or file cannot be used: the others have predictions, and with
    --json and --out it has an error instead of one; 5 the server does not answer.
    """
    from pipeline.live import predicting

    predictions = predicting.predict(
        pipeline,
        files,
        home,
        version,
        texts,
        server,
        reading=_reading(format_, delimiter, decimal, thousands),
        out=out,
        note=lambda sentence: click.echo(f"headrace: {hide(sentence)}", err=True),
    )
    tally = _Tally()
    if out is not None:
        _write(predictions, tally, out, files, force=force, as_json=as_json)
    elif as_json:
        _announce(predictions)
        _print_json(predictions, tally)
    else:
        _announce(predictions)
        _print_lines(predictions, tally)
    for line in tally.lines():
        click.echo(hide(line), err=True)
    if tally.num_errors:
        sys.exit(DataError.exit_code)


def _reading(format_: str | None, delimiter: str | None, decimal: str | None, thousands: str | None) -> dict[str, str]:
    """Returns the settings of `data` that the options override; raises ConfigError for an invalid delimiter."""
    from pipeline.commands.drafting.layouts import delimiter_of

    if decimal is not None:
        thousands = thousands or ""  # not the separator of the training data, which may be this decimal mark
    settings = {"decimal": decimal, "thousands": thousands}
    settings |= {"format": format_, "delimiter": None if delimiter is None else delimiter_of(delimiter)}
    return {name: value for name, value in settings.items() if value is not None}


def _announce(predictions: "Predictions") -> None:
    """Prints that a model is being loaded, which takes up to half a minute."""
    if predictions.loads:
        click.echo(f"loading version {predictions.loads} ...", err=True)


@dataclass
class _Tally:
    """Counts of rows, texts or files, and of errors.

    Attributes:
        num_rows: Number of rows, texts or files so far.
        num_errors: Number of those without a prediction.
        problems: Messages of the first errors, at most MAX_SHOWN.
        version: Version of the last prediction; None if there is none.
    """

    num_rows: int = 0
    num_errors: int = 0
    problems: list[str] = field(default_factory=list)
    version: int | None = None

    def add(self, batch: "PredictionBatch") -> None:
        """Counts a batch."""
        errors, versions = batch.errors.drop_null(), batch.versions.drop_null()
        self.num_rows += len(batch)
        self.num_errors += len(errors)
        self.problems += errors.slice(0, MAX_SHOWN - len(self.problems)).to_pylist()
        self.version = versions[-1].as_py() if len(versions) else self.version

    def counted(self, predictions: "Predictions") -> Iterator["Prediction"]:
        """Yields the predictions one by one and counts them."""
        for batch in predictions:
            self.add(batch)
            yield from batch

    def lines(self) -> list[str]:
        """Returns the messages about rows, texts or files without a prediction; empty if there are none."""
        if not self.num_errors:
            return []
        if self.num_rows == 1:
            return [f"headrace: {self.problems[0]}."]
        num_hidden = self.num_errors - len(self.problems)
        heading = f"headrace: {self.num_errors:,} of {self.num_rows:,} rows or files cannot be used and have no answer:"
        more = [f"  and {num_hidden:,} more; --json and --out FILE tell all of them"] if num_hidden else []
        return [heading, *(f"  {problem}" for problem in self.problems), *more]


def _print_lines(predictions: "Predictions", tally: _Tally) -> None:
    """Prints each prediction as text in one line, as it comes."""
    from pipeline.live.batches import location

    for prediction in tally.counted(predictions):
        if not prediction.error:
            click.echo(hide(f"{location(prediction.key)}: {prediction.as_text(predictions.top_k)}"))


def _print_json(predictions: "Predictions", tally: _Tally) -> None:
    """Prints the predictions as a JSON list, one a line, as they come."""
    has_begun = False

    def print_value(value: dict) -> None:
        nonlocal has_begun
        click.echo((",\n" if has_begun else "[\n") + hide(to_json(value)), nl=False)
        has_begun = True

    try:
        for prediction in tally.counted(predictions):
            print_value(prediction.as_json(predictions.top_k))
    except HeadraceError as error:
        if not has_begun:
            raise
        # Standard output stays valid JSON.
        print_value({"error": typed(str(error)), "exit_code": error.exit_code})
        click.echo("\n]")
        echo_error(hide(typed(str(error))))
        sys.exit(error.exit_code)
    click.echo("\n]" if has_begun else "[]")


def _write(predictions: "Predictions", tally: _Tally, out: Path, files: tuple[Path, ...], *, force: bool,
           as_json: bool) -> None:  # fmt: skip
    """Writes the predictions to a table and shows the progress."""
    from pipeline.core.screen import Screen
    from pipeline.live.predictions import open_table

    start = time.monotonic()
    with open_table(out, files, force=force) as table:
        _announce(predictions)
        for number in (signal.SIGINT, signal.SIGTERM):  # leaving the block by an exception removes the partial file
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        screen = Screen(quiet=as_json)
        with screen.stages():
            screen.begin("predict")
            for batch in predictions:
                table.write(batch, predictions.columns())
                tally.add(batch)
                screen.update({"rows": tally.num_rows, "share": batch.share})
            screen.stage = ""
    if as_json:
        summary = {"file": str(out), "rows": tally.num_rows, "errors": tally.num_errors, "version": tally.version}
        click.echo(to_json(summary))
        return
    seconds = time.monotonic() - start
    version_note = f"version {tally.version}" if tally.version else "no version was asked"
    screen.say(f"{out}: {tally.num_rows:,} rows, {tally.num_errors:,} of them errors, {version_note}, {seconds:.1f} s")
