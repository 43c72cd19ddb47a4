"""The table of the data path: each row with the alternative, the required figure and the aim."""

import functools
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.columns.made_up import write_sequences, write_table, write_texts, write_wide
from benchmarks.measuring import HEADRACE, ROOT, cost

HEAD = "| | ours | rival | ratio | must | aim | reached |\n| --- | --- | --- | --- | --- | --- | --- |"
# Shorter stages vary from run to run by more than the bound.
LEAST_SECONDS = 0.5
Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        what: What is measured.
        ours: Our figure, as text.
        rival: Figure of the alternative, as text; empty where there is none.
        value: The figure that is compared with the bounds; lower is better unless `at_least`.
        must: Required figure.
        aim: Aim.
        unit: Unit of the three.
        at_least: Whether the bounds are lower bounds.
    """

    what: str
    ours: str
    rival: str
    value: float
    must: float
    aim: float
    unit: str = ""
    at_least: bool = False

    def line(self) -> str:
        """Returns the row in Markdown."""
        reached = (lambda bound: self.value >= bound) if self.at_least else (lambda bound: self.value <= bound)
        verdict = "aim" if reached(self.aim) else "must" if reached(self.must) else "**short**"
        sign = ">=" if self.at_least else "<="
        bounds = f"{sign} {self.must:g}{self.unit} | {sign} {self.aim:g}{self.unit}"
        ratio = f"{self.value:.2f}" if self.rival else ""
        return f"| {self.what} | {self.ours} | {self.rival} | {ratio} | {bounds} | {verdict} |"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data that is measured.

    Attributes:
        rows: Rows of the table of 20 columns.
        wide: Rows and columns of the wide table.
        texts: Rows with texts.
        sequences: Rows with sequences that are ingested, and that are trained on.
        growth: Rows of the table whose memory is measured, and of the one whose time is compared with it.
        rounds: Number of measurements of which medians are taken.
    """

    rows: int = 500_000
    wide: tuple[int, int] = (400, 2_000)
    texts: int = 50_000
    sequences: tuple[int, int] = (1_000_000, 20_000)
    growth: tuple[int, int] = (10_000_000, 1_000_000)
    rounds: int = 3


def table(only: list[str], sizes: Sizes, before: Path | None, say: Say) -> list[str]:
    """Measures the rows named in `only`; returns them as lines of Markdown."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), sizes, before)
        for name in only:
            for row in ROWS[name](bench):
                say(row.line())
                lines.append(row.line())
    return lines


def merged(old: str, lines: list[str]) -> str:
    """Returns the table with new rows, which replace those of the same name or come last."""
    rows = {line.split(" | ")[0]: line for line in [*old.splitlines(), *lines] if line.startswith("| ")}
    return "\n".join([HEAD, *(line for line in rows.values() if line not in HEAD.splitlines())])


class Bench:
    """Made-up data in a scratch folder, written at its first use, and the measurements on it."""

    def __init__(self, scratch: Path, sizes: Sizes, before: Path | None):
        self._scratch, self.sizes, self._before = scratch, sizes, before

    @functools.cached_property
    def _table(self) -> Path:
        folder = _new_folder(self._scratch / "table")
        write_table(folder, self.sizes.rows)
        return folder

    @functools.cached_property
    def _examples(self) -> Path:
        _work("ingest", self._table, "csv")
        return self._table

    def ingest(self, ending: str, must: float, aim: float) -> Iterator[Row]:
        ours, rival = self._rounds(
            lambda: _work("ingest", self._table, ending)["cpu"],
            lambda: _work("ingest_rival", self._table, ending)["cpu"],
        )
        names = {"csv": "CSV", "parquet": "Parquet", "jsonl": "JSONL"}
        what = f"ingest with all checks, {names[ending]} {self.sizes.rows:,} x 20 / Arrow, tfx_bsl, TFRecord"
        yield ratio(what, ours, rival, must, aim)

    def new(self) -> Iterator[Row]:
        def ours() -> float:
            with tempfile.TemporaryDirectory() as home:
                data = ["--data", self._table / "rows.csv", "--label", "label"]
                (self._table / "rows.csv").touch()  # so that cached results about it are not used
                return cost([*HEADRACE, "new", f"{home}/made-up", *data, "--home", home]).cpu

        medians = self._rounds(ours, lambda: _work("new_rival", self._table)["cpu"])
        yield ratio("`headrace new` / `pyarrow.csv.read_csv` of the same file", *medians, 10, 5)

    def transform(self) -> Iterator[Row]:
        folder = self._examples
        medians = self._rounds(
            lambda: _work("transform", folder)["cpu"], lambda: _work("transform_rival", folder)["cpu"]
        )
        yield ratio("transform of that table / TFT called directly", *medians, 1.3, 1.1)

    def wide(self) -> Iterator[Row]:
        folder, (rows, columns) = _new_folder(self._scratch / "wide"), self.sizes.wide
        write_wide(folder, rows, columns)
        for name, must, aim in (("statistics", 15, 5), ("transform", 20, 10)):
            (seconds,) = self._rounds(lambda name=name: _work(name, folder)["cpu"])
            yield bound(f"{columns:,} columns x {rows:,} rows: {name}", seconds, must, aim)

    def texts(self) -> Iterator[Row]:
        folder = _new_folder(self._scratch / "texts")
        write_texts(folder, self.sizes.texts)
        (seconds,) = self._rounds(lambda: _work("transform", folder)["cpu"])
        yield bound(f"{self.sizes.texts:,} texts of 90 words: transform", seconds, 20, 8)

    def sequences(self) -> Iterator[Row]:
        folder, rows = _new_folder(self._scratch / "sequences"), self.sizes.sequences[0]
        write_sequences(folder, rows)
        pieces = ("ingest", "ingest_rival")
        medians = self._rounds(*(lambda name=name: _work(name, folder, "parquet")["cpu"] for name in pieces))
        yield ratio(f"ingest of {rows:,} sequences of 5 to 200 numbers / Arrow, tfx_bsl, TFRecord", *medians, 2.5, 1.6)

    def sequences_fit(self) -> Iterator[Row]:
        folder = _new_folder(self._scratch / "sequences_fit")
        write_sequences(folder, self.sizes.sequences[1])
        _work("ingest", folder, "parquet")
        yield from self._fit(folder, "sequences/s into `fit` / padded NumPy arrays, second epoch of 5")

    def fit(self) -> Iterator[Row]:
        yield from self._fit(self._examples, "rows/s into `fit` / NumPy arrays, second epoch of 5")

    def _fit(self, folder: Path, what: str) -> Iterator[Row]:
        if not (folder / "transform").exists():
            _work("transform", folder)
        runs = [_work("fit", folder, ("ours", "numpy")[index % 2]) for index in range(self.sizes.rounds)]
        ours, rival = (statistics.median(run[name] for run in runs) for name in ("ours", "numpy"))
        ratio = statistics.median(run["ours"] / run["numpy"] for run in runs)
        yield Row(what, f"{ours:,.0f}", f"{rival:,.0f}", ratio, 0.8, 0.95, at_least=True)

    def ten_million(self) -> Iterator[Row]:
        seconds = []
        for rows in sorted(self.sizes.growth):
            folder = _new_folder(self._scratch / str(rows))
            write_table(folder, rows, ("csv",))
            costs = {name: _work(name, folder, *arguments) for name, *arguments in (("ingest", "csv"), ("statistics",))}
            seconds.append({name: figures["cpu"] for name, figures in costs.items()})
            shutil.rmtree(folder)
        for name, figures in costs.items():
            yield bound(f"{rows:,} rows x 20: peak memory of {name}", figures["peak_gib"], 3, 2, " GiB")
        what = f"ingest and statistics of {rows:,} rows / of {min(self.sizes.growth):,}"
        yield ratio(what, *(sum(by_name.values()) for by_name in reversed(seconds)), 11, 10.2)

    def fashion(self) -> Iterator[Row]:
        if self._before is None:
            raise SystemExit("fashion needs --before FOLDER, an older clone that is set up.")
        executable = Path(HEADRACE[0]).relative_to(ROOT)
        clones = (ROOT, self._before)
        rounds = [[_stages(clone / executable) for clone in clones] for _ in range(self.sizes.rounds)]
        medians = [
            {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            for runs in zip(*rounds, strict=True)
        ]
        for name in [*medians[0], "all stages"]:
            pair = [sum(stages.values()) if name == "all stages" else stages.get(name, 0) for stages in medians]
            if min(pair) >= LEAST_SECONDS:
                yield ratio(f"Fashion-MNIST: {name}, wall / before", *pair, 1.05, 1)

    def _rounds(self, *functions: Callable[[], float]) -> list[float]:
        """Returns the median result of each function; the functions are called in turn."""
        rounds = [[function() for function in functions] for _ in range(self.sizes.rounds)]
        return [statistics.median(values) for values in zip(*rounds, strict=True)]


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "ingest": lambda bench: bench.ingest("csv", 2.5, 1.8),
    "parquet": lambda bench: bench.ingest("parquet", 3, 2),
    "jsonl": lambda bench: bench.ingest("jsonl", 3, 2),
    "new": Bench.new,
    "transform": Bench.transform,
    "wide": Bench.wide,
    "texts": Bench.texts,
    "fit": Bench.fit,
    "sequences": Bench.sequences,
    "sequences_fit": Bench.sequences_fit,
    "ten_million": Bench.ten_million,
    "fashion": Bench.fashion,
}
LONG = ("ten_million", "fashion")


def _work(name: str, folder: Path, *arguments: str) -> dict[str, float]:
    out = cost([sys.executable, "-m", "benchmarks.columns.work", name, folder, *arguments]).out
    return json.loads(out.splitlines()[-1])


def _stages(headrace: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        out = cost([headrace, "run", "fashion_mnist", "--set", "train.epochs=1", "--home", home, "--json"]).out
    return {stage["name"]: stage["seconds"] for stage in json.loads(out)["stages"]}


def _new_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def ratio(what: str, ours: float, rival: float, must: float, aim: float) -> Row:
    """Returns the row of two figures in seconds, whose ratio is compared with the bounds."""
    return Row(what, f"{ours:.2f} s", f"{rival:.2f} s", ours / rival, must, aim)


def bound(what: str, value: float, must: float, aim: float, unit: str = " s") -> Row:
    """Returns the row of one figure."""
    return Row(what, f"{value:.2f}{unit}", "", value, must, aim, unit)
