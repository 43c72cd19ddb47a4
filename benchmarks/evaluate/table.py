"""The table of evaluation: each row with its required figure and its aim."""

import functools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.columns.table import Row, Say, bound, ratio
from benchmarks.evaluate import full_run
from benchmarks.measuring import cost


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data that is measured.

    Attributes:
        pictures: Pictures of the test split.
        rows: Rows of the table that is evaluated.
        sliced: Rows of the table that is evaluated by five columns.
        predicted: Rows of the input file of `headrace predict`.
        full_run: Rows of the table of a whole run.
        rounds: Number of measurements of which medians are taken.
    """

    pictures: int = 10_000
    rows: int = 50_000
    sliced: int = 1_000_000
    predicted: int = 500_000
    full_run: int = 500_000
    rounds: int = 3


def table(only: list[str], sizes: Sizes, say: Say) -> list[str]:
    """Measures the rows named in `only`; returns them as lines of Markdown."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), sizes, say)
        for name in only:
            for row in ROWS[name](bench):
                say(row.line())
                lines.append(row.line())
    return lines


class Bench:
    """Made-up test splits with a model each, in a scratch folder, and the measurements on them."""

    def __init__(self, scratch: Path, sizes: Sizes, say: Say):
        self._scratch, self.sizes, self._say = scratch, sizes, say

    def pictures(self) -> Iterator[Row]:
        figures = self._measured("pictures", "write_pictures", self.sizes.pictures)
        what = f"evaluate, {self.sizes.pictures:,} pictures of 28 x 28 / one forward pass"
        yield ratio(what, figures["cpu"], figures["forward"], 1.5, 1.2)

    def rows(self) -> Iterator[Row]:
        figures = self._measured("rows", "write_rows", self.sizes.rows)
        what = f"evaluate and comparison, {self.sizes.rows:,} x 20, beyond one forward pass"
        yield bound(what, figures["cpu"] - figures["forward"], 3, 1)

    def sliced(self) -> Iterator[Row]:
        figures = self._measured("sliced", "write_rows", self.sizes.sliced)
        what = f"the same, {self.sizes.sliced:,} rows, slices of 5 columns"
        yield bound(what, figures["cpu"] - figures["forward"], 20, 8)
        yield bound(f"{what}: peak memory", figures["peak_gib"], 1.5, 1, " GiB")

    def predict(self) -> Iterator[Row]:
        figures = self._measured("predict_out", "write_rows", self.sizes.predicted)
        what = f"`headrace predict --out`, Parquet {self.sizes.predicted:,} x 20 / one forward pass"
        yield ratio(what, figures["cpu"], figures["forward"], 2, 1.3)

    def full_run(self) -> Iterator[Row]:
        folder = self._scratch / "whole"
        folder.mkdir()
        yield from full_run.rows_of_full_run(folder, self.sizes.full_run, self.sizes.rounds, self._say)

    def _measured(self, name: str, write: str, rows: int) -> dict[str, float]:
        """Returns the median of each figure of a piece of work."""
        folder = self._prepared(write, rows)
        runs = [_work(name, folder) for _ in range(self.sizes.rounds)]
        return {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}

    @functools.cache  # noqa: B019, the bench ends with the process
    def _prepared(self, write: str, rows: int) -> Path:
        folder = self._scratch / f"{write}-{rows}"
        folder.mkdir()
        _work(write, folder, rows)
        return folder


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "pictures": Bench.pictures,
    "rows": Bench.rows,
    "sliced": Bench.sliced,
    "predict": Bench.predict,
    "whole": Bench.full_run,
}


def _work(name: str, folder: Path, *arguments: int) -> dict[str, float]:
    out = cost([sys.executable, "-m", "benchmarks.evaluate.work", name, folder, *arguments]).out
    return json.loads(out.splitlines()[-1])
