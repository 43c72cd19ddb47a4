"""Executes a scheduled run: `python -m pipeline.scheduling.child HOME ID`.

It outlives the daemon and records its own result.
"""

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

TERM_SECONDS = 30.0  # between SIGTERM and SIGKILL
TRIES, TRY_SECONDS = 30, 2.0  # for recording the result, should the disk be full
REFUSED_CODES = (3, 4, 5)  # exit codes of `headrace run` after a gate refused


def main(home: Path, identifier: int) -> None:
    """Claims a scheduled run, executes it, records the result and sends the notifications."""
    store, process = Store.of(home), psutil.Process()
    scheduled_run = store.claim(identifier, process.pid, process.create_time(), time.time())
    if scheduled_run is None:  # another process claimed it
        return
    schedule = store.state(scheduled_run.schedule).schedule
    outcome = run_as_canary(home, schedule, lambda: run(home, schedule))
    paused = _with_retries(lambda: store.finish(scheduled_run, outcome, time.time()))
    notifying.notify_result(home, schedule, scheduled_run, outcome, paused)


def run_as_canary(home: Path, schedule: Schedule, run_pipeline: Callable[[], Outcome]) -> Outcome:
    """Runs a pipeline; the version that it publishes becomes a canary if the schedule has a share of requests for one.

    The live version is pinned before the run; otherwise the new version would become live on publication.
    """
    serving = PipelinePaths.of(home, schedule.name).serving
    before = last_version(serving)
    if schedule.canary is None or before is None:
        return run_pipeline()
    if rollouts.read(serving).stable is None:
        rollouts.promote(serving, before, "scheduled: the next version starts as a canary")
    outcome = run_pipeline()
    newest = last_version(serving)
    if outcome.state == SUCCEEDED and newest != before and newest is not None:
        canary = rollouts.Canary(newest, schedule.canary, promote_after_s=schedule.promote_after)
        try:
            rollouts.start_canary(serving, canary, f"scheduled run {outcome.run}")
        except ConfigError as error:  # published, but not live
            return replace(outcome, message=f"{outcome.message}, not a canary: {error}")
        return replace(outcome, message=f"{outcome.message}, as a canary with {schedule.canary:g} % of the requests")
    return outcome


def run(home: Path, schedule: Schedule) -> Outcome:
    """Executes `headrace run` within the schedule's time limit and returns the result."""
    command = schedule.command("run", str(home), "--json", "--wait")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        cwd=home,
        umask=user_umask(),  # the user's umask decides who may read what is published
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
    """Returns the result of a run from its exit code, its JSON on stdout and its stderr."""
    try:
        summary = json.loads(out)
    except ValueError:
        summary = {}
    state = SUCCEEDED if code == 0 else REFUSED if code in REFUSED_CODES else FAILED
    if state == SUCCEEDED:
        message = (
            f"published {Path(summary['published']).name}" if summary.get("published") else "nothing was published"
        )
    else:
        lines = (summary.get("error") or err).strip().splitlines()
        message = lines[0].removeprefix("headrace: ") if lines else f"headrace run ended with {code}"
        if len(lines) > 1:
            message += " " + "; ".join(line.strip() for line in lines[1:4])
    return Outcome(state, code, summary.get("run"), message)


def _forward(process: subprocess.Popen) -> None:
    """Forwards SIGTERM and SIGINT to the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: process.send_signal(received))


def _with_retries(write: Callable[[], bool]) -> bool:
    """Calls `write` until it succeeds, at most TRIES times; returns its value and raises its last error."""
    for attempt in range(TRIES):
        try:
            return write()
        except (OSError, sqlite3.Error) as error:
            print(f"the result could not be recorded ({error})", file=sys.stderr)
            if attempt == TRIES - 1:
                raise
            time.sleep(TRY_SECONDS)
    return False


if __name__ == "__main__":
    with private_files():
        main(Path(sys.argv[1]), int(sys.argv[2]))
