"""What a run leaves to be looked at: one page, and TensorBoard's cards and pictures."""

from pathlib import Path

from data.files import atomic
from models.serving.rollout.versions import REPORT
from pipeline.core.paths import PipelinePaths
from pipeline.history.journal import Journal


def write(paths: PipelinePaths, journal: Journal) -> Path:
    """Writes what a run that has ended came to: its record completed, its page, its events; returns the page.

    The page goes into the published version as well.
    """
    from pipeline.reporting import events, facts, page

    found = facts.gather(paths, journal.record)
    facts.conclude(journal.record, found)
    journal.write()
    written = page.write(paths, journal.record, found)
    events.write(paths.tensorboard / journal.record.run, journal.record, found)
    if journal.record.version:
        version = paths.serving / journal.record.version
        if (version / REPORT).parent.is_dir() and not (version / REPORT).exists():
            atomic.write(version / REPORT, written.read_bytes())
    return written
