"""The lists of `headrace list`: pipelines, tasks and data sets."""

from data import catalog
from models import registry
from pipeline.core import config


def everything() -> dict[str, dict[str, str]]:
    """Returns `pipelines`, `tasks` and `data_sets`, each as name -> description in one line."""
    return {
        "pipelines": {name: _headline(name) for name in config.names()},
        "tasks": {name: registry.title(name) for name in sorted(registry.TASKS)},
        "data_sets": {name: _data_set(name) for name in catalog.names()},
    }


def _headline(name: str) -> str:
    """Returns the second line of a run file, which tells the duration and the expected metric of a run."""
    lines = config.find(name).read_text(encoding="utf-8").splitlines()
    return lines[1].removeprefix("# ") if len(lines) > 1 and lines[1].startswith("#") else ""


def _data_set(name: str) -> str:
    spec = catalog.load(name).spec
    rows = " + ".join(f"{count:,} {split}" for split, count in spec.num_rows.items())
    return f"{spec.title}; {rows}; {spec.licence}"
