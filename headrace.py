"""The `headrace` command. Its module has a name of our own: a person's `pipeline.py` or `data/` cannot stand in for it.

Standard library only, and nothing of ours, until `main` has put the path right.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent)
PACKAGES = ("pipeline", "components", "models", "data")


def main() -> None:
    """Runs the command and ends the process with its exit code."""
    put_our_packages_first()
    from pipeline.core import environment

    environment.clean()
    from pipeline.commands import cli

    cli.main()


def put_our_packages_first() -> None:
    """Moves entries of sys.path that hold a module with the name of a package of ours behind the folder of ours.

    What else they hold stays importable. They move, where ours could come first: ours may be site-packages, and a
    backport there would stand in for a module of the standard library.

    multiprocessing hands this sys.path on to Beam's workers; other processes of ours are started without the current
    folder and PYTHONPATH (`python -I`).
    """
    if ROOT not in sys.path:
        sys.path.append(ROOT)
    ours = sys.path.index(ROOT)
    others = [entry for entry in sys.path[:ours] if any(PathFinder.find_spec(name, [entry]) for name in PACKAGES)]
    sys.path[:] = [entry for entry in sys.path if entry not in others] + others


if __name__ == "__main__":
    main()
