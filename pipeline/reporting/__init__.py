"""What a run leaves to be looked at: one page, and TensorBoard's cards and pictures."""

from pathlib import Path

from data import whole
from models.serving.versions import REPORT
from pipeline.journal import Journal
from pipeline.places import Places


def write(places: Places, journal: Journal) -> Path:
    """Writes what a run that has ended came to: its record completed, its page, its events; returns the page.

    The page goes into the published version as well.
    """
    from pipeline.reporting import events, facts, page

    found = facts.gather(places, journal.record)
    facts.conclude(journal.record, found)
    journal.write()
    written = page.write(places, journal.record, found)
    events.write(places.tensorboard / journal.record.run, journal.record, found)
    if journal.record.version:
        version = places.serving / journal.record.version
        if (version / REPORT).parent.is_dir() and not (version / REPORT).exists():
            whole.write(version / REPORT, written.read_bytes())
    return written
