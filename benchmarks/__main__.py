"""Measures what docs/results.md states: `make bench`, or `make bench ARGS="accuracy digits --seeds 5"`."""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.columns import table as columns_table
from benchmarks.evaluate import table as evaluate_table
from benchmarks.fuzzing import campaign
from benchmarks.measuring import HEADRACE, ROOT, cost

RESULTS = ROOT / "docs" / "results.md"


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure Headrace on this machine; without a command, its costs and those of the alternatives."""
    if context.invoked_subcommand is None:
        context.invoke(overhead)


@bench.command()
@click.option("--rounds", default=3, show_default=True, help="Number of measurements of which medians are taken.")
@click.option("--epochs", default=8, show_default=True, help="Epochs of the longer runs.")
@click.option("--no-stock", is_flag=True, help="Without stock TFX, which takes 90 s a round.")
def overhead(rounds: int = 3, epochs: int = 8, no_stock: bool = False) -> None:
    """Run Headrace, a plain Keras script and stock TFX side by side; write the table into docs/results.md."""
    from benchmarks import overhead as measured

    rows = measured.table(rounds, epochs, stock=not no_stock, say=lambda line: click.echo(line, err=True))
    text = measured.markdown(rows)
    click.echo(text)
    _write("overhead", text)
    for row in rows:
        if "short" in row.verdict():
            click.echo(f"falls short: {row.what}")


@bench.command()
def growth() -> None:
    """Run 60,000 and 600,000 records, and those with 2 workers; write the table into docs/results.md."""
    from benchmarks import growth as measured

    text = measured.table(lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("growth", text)


@bench.command()
@click.option("--rows", default=200_000, show_default=True)
@click.option("--columns", default=200, show_default=True)
def wide(rows: int, columns: int) -> None:
    """Time statistics, data gate and transform of a wide table, and TFDV and TFT called directly."""
    seconds = json.loads(cost([sys.executable, "-m", "benchmarks.wide", rows, columns]).out.splitlines()[-1])
    text = (
        f"{rows:,} rows of {columns} columns: {seconds['ours']:.0f} s, called directly {seconds['directly']:.0f} s, "
        f"{seconds['ours'] / seconds['directly']:.2f} times (at most 1.5)."
    )
    click.echo(text)
    _write("wide", text)


@bench.command()
@click.option("--only", default="", help="Rows, by comma: " + ", ".join(columns_table.ROWS) + "; all but the last two.")
@click.option("--rounds", default=3, show_default=True, help="Number of measurements of which medians are taken.")
@click.option(
    "--before",
    type=click.Path(exists=True, path_type=Path),
    help="Folder of an older clone that is set up, for fashion.",
)
def columns(only: str, rounds: int, before: Path | None) -> None:
    """Measure the data path, and Arrow, tfx_bsl and TFT called directly; write the measured rows."""
    names = only.split(",") if only else [name for name in columns_table.ROWS if name not in columns_table.LONG]
    if unknown := set(names) - set(columns_table.ROWS):
        raise click.UsageError(f"No row {', '.join(sorted(unknown))}; rows: {', '.join(columns_table.ROWS)}.")
    sizes = columns_table.Sizes(rounds=rounds)
    lines = columns_table.table(names, sizes, before, lambda line: click.echo(line, err=True))
    text = columns_table.merged(_written("columns"), lines)
    click.echo(text)
    _write("columns", text)


@bench.command()
@click.option("--only", default=",".join(evaluate_table.ROWS), show_default=True, help="Rows, by comma.")
@click.option("--rounds", default=3, show_default=True, help="Number of measurements of which medians are taken.")
def evaluate(only: str, rounds: int) -> None:
    """Measure evaluation, comparison and predictions of files relative to a forward pass; write the measured rows."""
    if unknown := set(only.split(",")) - set(evaluate_table.ROWS):
        raise click.UsageError(f"No row {', '.join(sorted(unknown))}; rows: {', '.join(evaluate_table.ROWS)}.")
    sizes = evaluate_table.Sizes(rounds=rounds)
    lines = evaluate_table.table(only.split(","), sizes, lambda line: click.echo(line, err=True))
    text = columns_table.merged(_written("evaluate"), lines)
    click.echo(text)
    _write("evaluate", text)


@bench.command()
def pictures() -> None:
    """Measure CPU time of a picture at ingest and in the served graph; write the table into docs/results.md."""
    from benchmarks import pictures as measured

    text = measured.table(lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("pictures", text)


@bench.command()
def comparison() -> None:
    """Time the intervals of a comparison of two models on 100,000 to a million rows; write the table."""
    from benchmarks import comparison as measured

    text = measured.table(lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("comparison", text)


@bench.command()
def serving() -> None:
    """Load the embedded server: requests a second, CPU, a large request, its start; write the table."""
    from benchmarks import serving as measured

    text = measured.table(lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("serving", text)


@bench.command()
@click.argument("versions", nargs=-1)
def runtimes(versions: tuple[str, ...]) -> None:
    """Run models of all tasks in the C++ loaders of other TensorFlows (downloads 2 GiB each); write the table."""
    from benchmarks import runtimes as measured

    text = measured.table(versions or ("2.19.1", "2.20.0"), lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("runtimes", text)


@bench.command()
def seeing() -> None:
    """Time the page of a run, and the site with a thousand runs; write the table."""
    from benchmarks import seeing as measured

    text = measured.table(lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("seeing", text)


@bench.command()
def loop() -> None:
    """Run serving, drift check and retraining on a stream that shifts; write table and plot."""
    from benchmarks import loop as measured

    text = measured.table(lambda line: click.echo(line, err=True))
    click.echo(text)
    _write("loop", text)


@bench.command()
@click.argument("target", type=click.Choice([*campaign.TARGETS, "all"]))
@click.option("--seconds", default=600, show_default=True, help="Seconds for each target.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Folder for corpus and faults; by default a temporary one."
)
def fuzz(target: str, seconds: int, folder: Path | None) -> None:
    """Fuzz the untrusted input of TARGET, guided by coverage; with `all`, write the table. A fault is exit code 1."""
    folder = folder or Path(tempfile.mkdtemp(prefix="headrace-fuzz-"))
    lines, faults = list(campaign.HEAD), []
    for name in campaign.TARGETS if target == "all" else [target]:
        line, new_faults = campaign.fuzz(name, seconds, folder / name, lambda text: click.echo(text, err=True))
        lines.append(line)
        faults += new_faults
    click.echo("\n".join(lines))
    if target == "all":
        _write("fuzz", "\n".join(lines))
    for path in faults:
        click.echo(f"fault: {path}")
    if faults:
        raise SystemExit(1)


@bench.command()
@click.option("--minutes", default=20.0, show_default=True)
@click.option("--batching", is_flag=True, help="With --enable_batching.")
def soak(minutes: float, batching: bool) -> None:
    """Swap versions of two models under load; write the table. An error, or growth, is exit code 1."""
    from benchmarks import soak as measured

    text, faults = measured.report(minutes, batching, lambda line: click.echo(line, err=True))
    click.echo(text)
    if not batching:
        _write("soak", text)
    if faults:
        raise SystemExit("\n".join(faults))


def _write(name: str, text: str) -> None:
    """Writes a text between its marks in docs/results.md."""
    new_text, num_replaced = _between(name).subn(lambda match: f"{match[1]}{text}\n{match[3]}", RESULTS.read_text())
    if not num_replaced:
        raise SystemExit(f"{RESULTS} has no <!-- {name} -->; the table is above.")
    RESULTS.write_text(new_text)


def _written(name: str) -> str:
    """Returns the text between its marks in docs/results.md."""
    match = _between(name).search(RESULTS.read_text())
    return match[2] if match else ""


def _between(name: str) -> re.Pattern:
    return re.compile(f"(<!-- {re.escape(name)} -->\n)(.*?)(<!-- end of {re.escape(name)} -->)", re.DOTALL)


@bench.command()
@click.argument("pipelines", nargs=-1, required=True)
@click.option("--seeds", default=3, show_default=True)
def accuracy(pipelines: tuple[str, ...], seeds: int) -> None:
    """Run all stages of PIPELINES once for each seed, each in an empty home."""
    print("| pipeline | accuracy: mean (least to most) | wall s: median | CPU s: median | peak MiB | parameters |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in pipelines:
        runs = [_full_run(name, seed) for seed in range(seeds)]
        accuracies = [run["metrics"]["accuracy"] for run in runs]
        train = next(stage["detail"] for stage in runs[0]["stages"] if stage["name"] == "train")
        parameters = train.split(", ", 1)[1].split(" parameters")[0]
        cells = [
            name,
            f"{statistics.mean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})",
            f"{statistics.median(run['wall'] for run in runs):.0f}",
            f"{statistics.median(run['cpu'] for run in runs):.0f}",
            f"{max(run['peak'] for run in runs):,.0f}",
            parameters,
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _full_run(name: str, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as home:
        run = cost([*HEADRACE, "run", name, "--home", home, "--set", f"seed={seed}", "--json"])
    return {**json.loads(run.out), "wall": run.wall, "cpu": run.cpu, "peak": run.peak}


@bench.command()
@click.option("--runs", default=9, show_default=True)
def startup(runs: int) -> None:
    """Time commands that must respond at once: help, a typo, set-up with nothing to do; and `python -c pass`."""
    with tempfile.TemporaryDirectory() as folder:
        typo = Path(folder) / "typo.yaml"
        typo.write_text("task: image_classification\ndata: {name: digits}\ntrain: {epoch: 3}\n")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "headrace --help": [*HEADRACE, "--help"],
            "headrace run typo.yaml": [*HEADRACE, "run", str(typo)],
            "bootstrap.py, nothing to do": [sys.executable, str(ROOT / "bootstrap.py")],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):  # the first round warms up
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, capture_output=True, cwd=ROOT)
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["python -c pass"][1:])
    print("| command | median s | most s | times `python -c pass` |\n| --- | --- | --- | --- |")
    for name, values in seconds.items():
        median = statistics.median(values[1:])
        print(f"| `{name}` | {median:.2f} | {max(values[1:]):.2f} | {median / base:.1f} |")


if __name__ == "__main__":
    bench()
