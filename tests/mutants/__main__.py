"""Mutation testing: `make mutants`, or `make mutants ARGS="data/checks --share 0.2"`.

Changes one place of a module at a time, as a slip would, and runs the tests that reach it: one of them has to fail.
"""

import ast
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from tests.mutants import running
from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.operators import mutations
from tests.mutants.targets import GROUPS, ROOT


@dataclass(frozen=True)
class Outcome:
    """What came of a mutant.

    Attributes:
        module: Path of the module.
        line: Number of the source line.
        source: The line, without the space around it.
        change: `before -> after`.
        is_reached: Whether any test runs the line.
        code: Exit code of the tests.
    """

    module: str
    line: int
    source: str
    change: str
    is_reached: bool
    code: int = running.SURVIVED

    @property
    def has_survived(self) -> bool:
        """Whether no test noticed."""
        return self.code == running.SURVIVED

    @property
    def reason(self) -> str:
        """Why no test can notice; empty where one should."""
        return EQUIVALENT.get(self.module, {}).get((self.source, self.change), "")

    def __str__(self) -> str:
        note = "" if self.is_reached else "    no test reaches it\n"
        return f"  {self.module}:{self.line}\n    {self.source}\n    {self.change}\n{note}"


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--share", default=1.0, show_default=True, help="Of the mutations of a module, evenly spread.")
@click.option(
    "--seconds", default=10.0, show_default=True, help="CPU seconds of tests for a mutant, the quickest first."
)
@click.option("--again", type=click.Path(path_type=Path), help="Run only the survivors in this file, of --out.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the survivors as JSON.")
def main(paths: tuple[str, ...], share: float, seconds: float, again: Path | None, out: Path | None) -> None:
    """Print the score of each module below PATHS (all by default), and the mutations that no test notices."""
    wanted = {(one["module"], one["source"], one["change"]) for one in json.loads(again.read_text())} if again else None
    survivors, total, killed = [], 0, 0
    for group in GROUPS:
        modules = [path for path in group.modules if not paths or any(Path(path).is_relative_to(one) for one in paths)]
        for path, outcomes in _outcomes(modules, group.tests, wanted, share, seconds) if modules else ():
            noticeable = [one for one in outcomes if not one.reason]
            some = [one for one in noticeable if one.has_survived]
            survivors, total, killed = survivors + some, total + len(noticeable), killed + len(noticeable) - len(some)
            click.echo(_score(path, noticeable, len(outcomes) - len(noticeable)))
            for one in some:
                click.echo(one)
            if out:
                out.write_text(json.dumps([asdict(one) for one in survivors], indent=1))
    click.echo(f"{'all':42} {killed:5,} of {total:5,} killed  {killed / max(total, 1):6.1%}")


def _score(path: str, noticeable: list[Outcome], equivalent: int) -> str:
    killed = sum(not one.has_survived for one in noticeable)
    note = f", {equivalent} equivalent" if equivalent else ""
    return f"{path:42} {killed:5,} of {len(noticeable):5,} killed  {killed / max(len(noticeable), 1):6.1%}{note}"


def _outcomes(
    modules: Sequence[str], tests: Sequence[str], wanted: set | None, share: float, seconds: float
) -> Iterator[tuple[str, list[Outcome]]]:
    """Yields modules, each with what came of its mutants."""
    coverage, loaded = running.coverage_of([ROOT / path for path in modules], tests)
    mutants: list[running.Mutant] = []
    outcomes: list[Outcome] = []
    for path in modules:
        source = (ROOT / path).read_text()
        tree, lines = ast.parse(source), source.splitlines()
        for index, one in enumerate(mutations(tree)):
            reaching = coverage.tests_of(ROOT / path, one, seconds)
            change = f"{one.before} -> {one.after}"
            outcome = Outcome(path, one.line, lines[one.line - 1].strip(), change, is_reached=bool(reaching))
            is_drawn = int((index + 1) * share) > int(index * share)
            if is_drawn if wanted is None else (path, outcome.source, outcome.change) in wanted:
                outcomes.append(outcome)
                mutants.append(
                    running.Mutant(ROOT / path, tree, one, reaching, sum(map(coverage.seconds.get, reaching)))
                )
    codes = running.exit_codes([one for one in mutants if one.tests], tests, loaded)
    for path, some in itertools.groupby(outcomes, key=lambda one: one.module):
        of_module = [replace(one, code=next(codes) if one.is_reached else running.SURVIVED) for one in some]
        yield path, [one for one in of_module if one.code != running.BROKEN]


if __name__ == "__main__":
    main()
