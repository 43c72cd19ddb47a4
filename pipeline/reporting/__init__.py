"""Reports of runs: the page of a run, comparisons of runs, TensorBoard's events."""

from pathlib import Path

from data.files import atomic
from models.serving.rollout.versions import REPORT
from pipeline.core.paths import PipelinePaths
from pipeline.history.journal import Journal


def write(paths: PipelinePaths, journal: Journal) -> Path:
    """Writes the reports of a run that has ended: its completed record, its page and its TensorBoard events.

    The page is copied into the published version, unless that has one.

    Args:
        paths: Paths of the run's pipeline.
        journal: Journal with the record of the run, which is completed.

    Returns:
        Path of the page.
    """
    from pipeline.reporting import events, facts, page

    run_facts = facts.gather(paths, journal.record)
    facts.complete(journal.record, run_facts)
    journal.write()
    page_path = page.write(paths, journal.record, run_facts)
    events.write(paths.tensorboard / journal.record.run, journal.record, run_facts)
    if journal.record.version:
        folder = paths.serving / journal.record.version
        if (folder / REPORT).parent.is_dir() and not (folder / REPORT).exists():
            atomic.write(folder / REPORT, page_path.read_bytes())
    return page_path
