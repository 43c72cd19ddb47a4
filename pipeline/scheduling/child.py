"""Runs one fire: `python -m pipeline.scheduling.child HOME FIRE`. Outlives the daemon; says itself what came of it."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from data.errors import ConfigError
from models.serving.rollout import rollouts
from models.serving.rollout.versions import last_version
from pipeline.core.files import private_files, user_umask
from pipeline.core.paths import PipelinePaths
from pipeline.scheduling import notifying
from pipeline.scheduling.store import FAILED, REFUSED, SUCCEEDED, Outcome, Schedule, Store

TERM_SECONDS = 30.0  # between asking a run to stop and making it
TRIES, TRY_SECONDS = 30, 2.0  # to write down what came of it, should the disk be full
REFUSALS = (3, 4, 5)


def main(home: Path, identifier: int) -> None:
    """Claims a fire, runs it, writes down what came of it, and tells those who asked to be told."""
    store, me = Store.of(home), psutil.Process()
    fire = store.claim(identifier, me.pid, me.create_time(), time.time())
    if fire is None:  # another process was first
        return
    schedule = store.state(fire.schedule).schedule
    outcome = on_trial(home, schedule, lambda: run(home, schedule))
    paused = _persistently(lambda: store.finish(fire, outcome, time.time()))
    notifying.tell(home, schedule, fire, outcome, paused)


def on_trial(home: Path, schedule: Schedule, work: Callable[[], Outcome]) -> Outcome:
    """Runs a pipeline; what it publishes gets the schedule's share of the requests, where it has one, and no more.

    The version that is live is pinned before: a new one would go live by itself.
    """
    serving = PipelinePaths.of(home, schedule.name).serving
    before = last_version(serving)
    if schedule.canary is None or before is None:
        return work()
    if rollouts.read(serving).stable is None:
        rollouts.promote(serving, before, "scheduled: what comes next goes on trial")
    outcome = work()
    newest = last_version(serving)
    if outcome.state == SUCCEEDED and newest != before and newest is not None:
        trial = rollouts.Canary(newest, schedule.canary, promote_after_s=schedule.promote_after)
        try:
            rollouts.start_canary(serving, trial, f"scheduled run {outcome.run}")
        except ConfigError as error:  # it is published, and not live
            return replace(outcome, message=f"{outcome.message}, not on trial: {error}")
        return replace(outcome, message=f"{outcome.message}, on trial with {schedule.canary:g} % of the requests")
    return outcome


def run(home: Path, schedule: Schedule) -> Outcome:
    """Runs `headrace run` within the schedule's time limit and returns what came of it."""
    command = schedule.command("run", str(home), "--json", "--wait")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        cwd=home,
        umask=user_umask(),  # who may read what it publishes is the user's to say
    )
    _forward(process)
    try:
        out, err = process.communicate(timeout=schedule.time_limit)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            out, err = process.communicate(timeout=TERM_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return Outcome(FAILED, process.returncode, message=f"it took longer than {schedule.time_limit:.0f} s")
    sys.stderr.write(err)
    return outcome_of(process.returncode, out, err)


def outcome_of(code: int, out: str, err: str) -> Outcome:
    """Returns what came of a run by its exit code and what it printed."""
    try:
        told = json.loads(out)
    except ValueError:
        told = {}
    state = SUCCEEDED if code == 0 else REFUSED if code in REFUSALS else FAILED
    if state == SUCCEEDED:
        message = f"published {Path(told['published']).name}" if told.get("published") else "nothing was published"
    else:
        lines = (told.get("error") or err).strip().splitlines()
        message = lines[0].removeprefix("headrace: ") if lines else f"headrace run ended with {code}"
        if len(lines) > 1:
            message += " " + "; ".join(line.strip() for line in lines[1:4])
    return Outcome(state, code, told.get("run"), message)


def _forward(process: subprocess.Popen) -> None:
    """Passes on the signals by which this process is asked to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: process.send_signal(received))


def _persistently(write) -> bool:
    for attempt in range(TRIES):
        try:
            return write()
        except (OSError, sqlite3.Error) as error:
            print(f"what came of it could not be written down ({error})", file=sys.stderr)
            if attempt == TRIES - 1:
                raise
            time.sleep(TRY_SECONDS)
    return False


if __name__ == "__main__":
    with private_files():
        main(Path(sys.argv[1]), int(sys.argv[2]))
