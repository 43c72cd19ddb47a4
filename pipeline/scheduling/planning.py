"""Validates a new schedule and completes it with settings of its run file."""

from dataclasses import replace
from pathlib import Path

from data.errors import ConfigError
from pipeline.core import config
from pipeline.scheduling import times
from pipeline.scheduling.store import Schedule, Store


def add(home: Path, schedule: Schedule, now: float) -> float | None:
    """Adds or replaces a schedule and returns its next due time in seconds since 1970; None without cron fields.

    Args:
        home: Folder of `runs/` and `serving/`.
        schedule: The schedule as requested; see `complete`.
        now: Current time, in seconds since 1970.

    Raises:
        ConfigError: The schedule can never run, or its run file is invalid.
        DataError: A data file lacks a column that the settings name.
    """
    Store.of(home).add(complete(schedule), now)
    return next(times.after(schedule.cron, schedule.zone, now)) if schedule.cron else None


def complete(schedule: Schedule) -> Schedule:
    """Returns a schedule with the run file's absolute path, its notification channels and a challenge.

    The challenge, `evaluate.challenge=not_worse`, is added unless the run file sets one.

    Raises:
        ConfigError: The schedule can never run, or its run file is invalid.
        DataError: A data file lacks a column that the settings name.
    """
    if schedule.cron is None and not schedule.on_new_data and schedule.on_drift is None:
        raise ConfigError("Nothing says when it runs; give --cron, --on-new-data or --on-drift.")
    if schedule.promote_after is not None and schedule.canary is None:
        raise ConfigError("--promote-after promotes a canary; give --canary PERCENT too.")
    if schedule.cron is not None:
        times.check(schedule.cron, schedule.zone)
    # An invalid run file is reported now, not at three in the morning.
    named = config.load(schedule.target, schedule.overrides)
    if schedule.on_drift is not None and named.config.data.checks.drift.policy == "stop":
        raise ConfigError(
            f"{named.name} is to run when its data drifts, and its data gate stops at drift; "
            "add --set data.checks.drift.policy=warn."
        )
    file, evaluate = Path(schedule.target), named.config.evaluate
    # A challenge in the run file, also `off`, is kept.
    is_challenge_set = "challenge" in evaluate.model_fields_set or evaluate.against_live == "never"
    return replace(
        schedule,
        target=str(file.resolve()) if file.suffix in (".yaml", ".yml") else schedule.target,
        cron=" ".join(schedule.cron.split()) if schedule.cron else None,
        overrides=schedule.overrides + (() if is_challenge_set else ("evaluate.challenge=not_worse",)),
        notify=tuple(channel.model_dump(mode="json") for channel in named.config.notify),
    )
