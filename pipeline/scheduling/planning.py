"""A new schedule: whether it can be run as it is asked for, and what its run file and a schedule add to it."""

from dataclasses import replace
from pathlib import Path

from data.errors import ConfigError
from pipeline.core import config
from pipeline.scheduling import times
from pipeline.scheduling.store import Schedule, Store


def add(home: Path, schedule: Schedule, now: float) -> float | None:
    """Adds a schedule, or changes the one of that name, and returns when it is due next; None where only data decides.

    Args:
        home: Folder of `runs/` and `serving/`.
        schedule: As it was asked for; see `complete`.
        now: Seconds since 1970, as what is returned.

    Raises:
        ConfigError: It can never run, or its run file cannot be used.
        DataError: A file of data does not have the columns that the settings name.
    """
    Store.of(home).add(complete(schedule), now)
    return next(times.after(schedule.cron, schedule.zone, now)) if schedule.cron else None


def complete(schedule: Schedule) -> Schedule:
    """Returns a schedule with whom its run file says to tell, the whole path of that file, and a challenge.

    Raises:
        ConfigError: It can never run, or its run file cannot be used.
        DataError: A file of data does not have the columns that the settings name.
    """
    if schedule.cron is None and not schedule.on_new_data and schedule.on_drift is None:
        raise ConfigError("Nothing says when it runs; give --cron, --on-new-data or --on-drift.")
    if schedule.promote_after is not None and schedule.canary is None:
        raise ConfigError("--promote-after promotes a canary; give --canary PERCENT too.")
    if schedule.cron is not None:
        times.check(schedule.cron, schedule.zone)
    # A run file that cannot be used is told now, not at three in the morning.
    named = config.load(schedule.target, schedule.overrides)
    if schedule.on_drift is not None and named.config.data.checks.drift.policy == "stop":
        raise ConfigError(
            f"{named.name} is to run when its data drifts, and its data gate stops at drift; "
            "add --set data.checks.drift.policy=warn."
        )
    file, asked = Path(schedule.target), named.config.evaluate
    # What is written in the run file, `off` as well, is what its owner wants.
    is_written = "challenge" in asked.model_fields_set or asked.against_live == "never"
    return replace(
        schedule,
        target=str(file.resolve()) if file.suffix in (".yaml", ".yml") else schedule.target,
        cron=" ".join(schedule.cron.split()) if schedule.cron else None,
        overrides=schedule.overrides + (() if is_written else ("evaluate.challenge=not_worse",)),
        notify=tuple(one.model_dump(mode="json") for one in named.config.notify),
    )
