"""The table of costs of Headrace, a plain Keras script and stock TFX, with the required figure of each row."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import HEADRACE, ROOT, Cost, cost, folder_mib
from components.artifact_files import TRAINING
from pipeline.core.stages import STAGES
from pipeline.history import runs
from pipeline.history.record import START, RunRecord

SETTINGS = ["model.flip=false", "evaluate.thresholds={}"]
RAW_MIB = 70_000 * (28 * 28 + 1) / 2**20
TRAIN_ONWARDS = {"train", "evaluate", "baseline", "serving_check"}
EVERY_RUN = {"start", *(stage.id for stage in STAGES if not stage.is_cached)}


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        what: What is measured.
        stock: Stock TFX's figure, as text.
        ours: Figure of Headrace.
        must: Required figure.
        aim: Aim.
        unit: Unit of the figures.
        more_is_better: Whether a greater figure is better.
        detail: The figures that it is computed from.
    """

    what: str
    stock: str
    ours: float
    must: float
    aim: float
    unit: str = ""
    more_is_better: bool = False
    detail: str = ""

    def verdict(self) -> str:
        """Returns `aim` or `must`, the better of the two that was reached, else `**short**`."""
        reached = (lambda bound: self.ours >= bound) if self.more_is_better else (lambda bound: self.ours <= bound)
        return "aim" if reached(self.aim) else "must" if reached(self.must) else "**short**"

    def line(self) -> str:
        """Returns the row in Markdown."""
        sign = ">=" if self.more_is_better else "<="
        bounds = f"{sign} {self.must:g}{self.unit} | {sign} {self.aim:g}{self.unit}"
        return (
            f"| {self.what} | {self.stock} | {self.ours:.2f}{self.unit} | {bounds} | {self.verdict()} | {self.detail} |"
        )


def table(rounds: int, epochs: int, *, stock: bool, say: Callable[[str], None]) -> list[Row]:
    """Measures all rows, with the alternatives in turn in each round; returns the rows."""
    from data.catalog import fashion_mnist

    fashion_mnist.DATASET.sources["debian"](None)  # fetched before anything is timed
    data = fashion_mnist.cache_folder()
    short: dict[str, list[Cost]] = {"plain": [], "ours": [], "stock": []}
    long: dict[str, list[Cost]] = {"plain": [], "ours": []}
    first_stage, first_step = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(rounds):
            home = Path(scratch) / f"home{index}"
            short["plain"].append(cost(_script("plain_keras", data, Path(scratch) / f"p{index}", 1)))
            start = time.time()
            short["ours"].append(cost(_run(home, 1)))
            stage, step = firsts(runs.runs(home, "fashion_mnist")[0])
            first_stage.append(stage - start)
            first_step.append(step - start)
            if stock:
                short["stock"].append(cost(_script("stock_tfx", data, Path(scratch) / f"s{index}", 1)))
            say(f"round {index + 1}, 1 epoch: " + ", ".join(f"{k} {v[-1].wall:.1f} s" for k, v in short.items() if v))
        disk = folder_mib(home)
        reruns = [cost(_run(home, 1)).wall for _ in range(rounds)]
        stock_again = cost(_script("stock_tfx", data, Path(scratch) / "s0", 1, "again")).wall if stock else 0.0
        changed = json.loads(cost([*_run(home, 1), "--set", "train.learning_rate=0.002"]).out)
        rates = json.loads(cost([sys.executable, "-m", "benchmarks.input", home]).out)
        instant = _instant(home, 2 * rounds + 1)
        for index in range(rounds):
            long["plain"].append(cost(_script("plain_keras", data, Path(scratch) / f"l{index}", epochs)))
            long["ours"].append(cost(_run(Path(scratch) / f"long{index}", epochs)))
            say(f"round {index + 1}, {epochs} epochs: " + ", ".join(f"{k} {v[-1].wall:.1f} s" for k, v in long.items()))

    wall, cpu = ({name: _median(costs, kind) for name, costs in short.items() if costs} for kind in ("wall", "cpu"))
    peak = {name: max(run_cost.peak for run_cost in costs) / 1024 for name, costs in short.items() if costs}
    rerun_stages = {stage["name"] for stage in changed["stages"] if stage["state"] == "done"} - EVERY_RUN
    fit = rates["fit_ours"]["wall"] / rates["fit_memory"]["wall"]
    input_only, by_hand = rates["input_ours"], rates["input_by_hand"]
    longer = {name: _median(costs, "wall") for name, costs in long.items()}

    def of_stock(value: Callable[[], float], unit: str = "") -> str:
        return f"{value():.2f}{unit}" if stock else "not run"

    return [
        Row("whole run / plain Keras script, 1 epoch, wall", of_stock(lambda: wall["stock"] / wall["plain"]),
            wall["ours"] / wall["plain"], 1.4, 1.3, detail=_words(wall, "s")),
        Row(f"the same at {epochs} epochs", "not run", longer["ours"] / longer["plain"], 1.25, 1.1,
            detail=_words(longer, "s")),
        Row("CPU seconds over the plain script's, 1 epoch", of_stock(lambda: cpu["stock"] - cpu["plain"], " s"),
            cpu["ours"] - cpu["plain"], 25, 12, " s", detail=_words(cpu, "s")),
        Row("from the command to the first stage, fresh home", "", statistics.median(first_stage), 5, 3.5, " s",
            detail=_each(first_stage)),
        Row("from the command to the end of the first training step, fresh home", "", statistics.median(first_step), 10,
            7, " s", detail=_each(first_step)),
        Row("rerun with nothing changed", of_stock(lambda: stock_again, " s"), statistics.median(reruns), 2.5, 1.2,
            " s"),
        Row("stages rerun after a change of the learning rate", "Trainer and all after it", len(rerun_stages),
            len(TRAIN_ONWARDS), len(TRAIN_ONWARDS), detail=", ".join(sorted(rerun_stages))),
        Row("images/s into `fit`, against numpy in memory", "", fit, 0.97, 1.0, more_is_better=True,
            detail=f"{rates['fit_ours']['wall']:,.0f} and {rates['fit_memory']['wall']:,.0f}"),
        Row("images per CPU second, input alone, against TFRecord parsed by hand", "",
            input_only["cpu"] / by_hand["cpu"], 0.9, 1.0, more_is_better=True,
            detail=f"{input_only['cpu']:,.0f} and {by_hand['cpu']:,.0f}"),
        Row("peak memory of the whole run", of_stock(lambda: peak["stock"], " GiB"), peak["ours"], 1.6, 1.4, " GiB",
            detail=_words(peak, "GiB")),
        Row("disk written / size of the raw data", "", disk / RAW_MIB, 1.2, 1.05,
            detail=f"{disk:.1f} MiB of {RAW_MIB:.1f}"),
        Row("`headrace --help`", "", instant["help"], 0.4, 0.2, " s"),
        Row("a run file with a typo", "", instant["typo"], 1.0, 0.5, " s"),
        Row("`headrace runs`", "", instant["runs"], 1.5, 0.8, " s"),
    ]  # fmt: skip


def markdown(rows: list[Row]) -> str:
    """Returns the table in Markdown."""
    head = "| | stock TFX 1.21 | ours | must | aim | reached | figures |\n| --- | --- | --- | --- | --- | --- | --- |"
    return "\n".join([head, *(row.line() for row in rows)])


def firsts(record: RunRecord) -> tuple[float, float]:
    """Returns when a run's first stage began and when its first training step ended, seconds since 1970."""
    training = record.file(TRAINING)
    if training is None:
        raise SystemExit(f"{record.run} has no record of its training.")
    stage = next(stage for stage in record.stages if stage.name != START)
    return stage.started, json.loads(training.read_text())["first_step"]


def _run(home: Path, epochs: int) -> list:
    settings = [argument for setting in [*SETTINGS, f"train.epochs={epochs}"] for argument in ("--set", setting)]
    return [*HEADRACE, "run", "fashion_mnist", "--home", home, "--json", *settings]


def _script(name: str, data: Path, out: Path, *arguments) -> list:
    out.mkdir(exist_ok=True)
    return [sys.executable, ROOT / "benchmarks" / f"{name}.py", data, out, *arguments]


def _instant(home: Path, rounds: int) -> dict[str, float]:
    """Returns the median seconds of commands that must respond at once."""
    typo = home / "typo.yaml"
    typo.write_text("task: image_classification\ndata: {name: digits}\ntrain: {epoch: 3}\n")
    commands = {
        "help": [*HEADRACE, "--help"],
        "typo": ["sh", "-c", f"{HEADRACE[0]} run {typo} 2>/dev/null || true"],
        "runs": [*HEADRACE, "runs", "--home", home],
    }
    return {name: statistics.median(cost(command).wall for _ in range(rounds)) for name, command in commands.items()}


def _median(costs: list[Cost], kind: str) -> float:
    return statistics.median(getattr(run_cost, kind) for run_cost in costs)


def _each(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _words(values: dict[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:.1f} {unit}" for name, value in values.items())
