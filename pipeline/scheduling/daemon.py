"""The scheduler daemon: records due runs, starts them, detects their end, and serves health and metrics."""

import asyncio
import contextlib
import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from data.errors import ConfigError
from pipeline.core.listening import HOST, listen
from pipeline.core.lock import locked
from pipeline.history.record import alive
from pipeline.scheduling import metrics, notifying, times, triggers
from pipeline.scheduling.store import FAILED, PENDING, RUNNING, Outcome, Schedule, ScheduledRun, State, Store

GRACE_SECONDS = 60.0  # a run that is later than this counts as missed
TICK_SECONDS = 1.0
STALE_SECONDS = 60.0  # without a completed tick, the daemon is degraded

logger = logging.getLogger(__name__)


@dataclass
class Scheduler:
    """Runs the schedules of one home folder.

    Attributes:
        home: The home folder.
        workers: Number of pipelines that may run at a time; a pipeline never runs twice at a time.
        clock: Returns the time in seconds since 1970; tests replace it.
        poll_seconds: Seconds between two checks for new data and drift.
        last_tick: End of the last successful tick, in seconds since 1970.
        last_error: Error of the last tick; empty if it succeeded.
    """

    home: Path
    workers: int = 1
    clock: Callable[[], float] = time.time
    poll_seconds: float = 60.0
    last_tick: float = 0.0
    last_error: str = ""
    _children: dict[int, subprocess.Popen] = field(default_factory=dict)
    _drift_checks: dict[str, subprocess.Popen] = field(default_factory=dict)
    _last_poll: float | None = None

    def __post_init__(self):
        self.store = Store.of(self.home)

    def tick(self) -> None:
        """Does all work that is due now; an error is logged, and the next tick tries again."""
        try:
            states = self.store.states()
            self._enqueue_due(states)
            self._check_data(states)
            self._reap()
            self._start()
        except (OSError, sqlite3.Error) as error:  # a full disk, a database in use
            if str(error) != self.last_error:
                logger.error("the scheduler cannot work (%s); it tries again", error)
            self.last_error = str(error) or type(error).__name__
        except Exception as error:  # an internal error must not end the daemon either
            logger.exception("internal error of the scheduler")
            self.last_error = f"{type(error).__name__}: {error}"
        else:
            self.last_error, self.last_tick = "", self.clock()

    def _enqueue_due(self, states: list[State]) -> None:
        """Records the runs that have become due since the last tick."""
        now = self.clock()
        for state in states:
            schedule = state.schedule
            if state.paused is not None or schedule.cron is None:
                continue
            # A clock that was set back is trusted: due times that are recorded already are not recorded again.
            since = min(state.checked, now)
            due_times = times.due_between(schedule.cron, schedule.zone, since, now)
            selected = times.caught_up(due_times, schedule.catch_up, now, GRACE_SECONDS)
            if len(due_times) > len(selected):
                logger.warning(
                    "%s: %d missed times are not run (%s)",
                    schedule.name,
                    len(due_times) - len(selected),
                    schedule.catch_up,
                )
            due_runs = [(due, "cron", times.jittered(due, schedule.name, schedule.jitter)) for due in selected]
            if due_runs or now - state.checked > GRACE_SECONDS or now < state.checked:
                self.store.enqueue(schedule.name, due_runs, checked=now)

    def _check_data(self, states: list[State]) -> None:
        """Records runs for new data or drift, once in `poll_seconds`."""
        now = self.clock()
        if self._last_poll is not None and 0 <= now - self._last_poll < self.poll_seconds:
            return
        self._last_poll = now
        for state in states:
            if state.paused is not None or triggers.is_queued(self.store, state.schedule):
                continue
            if state.schedule.on_new_data and triggers.has_new_data(self.home, state.schedule, self.poll_seconds):
                self.store.enqueue(state.schedule.name, [(now, "new data", now)])
            elif state.schedule.on_drift is not None:
                self._check_drift(state.schedule, now)

    def _check_drift(self, schedule: Schedule, now: float) -> None:
        """Starts a drift check, as a process since it loads TensorFlow, or reads the result of the last one."""
        process = self._drift_checks.pop(schedule.name, None)
        if process is None:
            command = triggers.drift_command(self.home, self.store, schedule, self.poll_seconds)
            if command:
                self._drift_checks[schedule.name] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
        elif process.poll() is None:
            self._drift_checks[schedule.name] = process
        elif process.returncode == triggers.DRIFT_EXIT_CODE:
            self.store.enqueue(schedule.name, [(now, "drift", now)])

    def _reap(self) -> None:
        """Detects runs that have ended, also those that an earlier daemon started."""
        for identifier, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[identifier]
                for scheduled_run in self.store.scheduled_runs(state=PENDING):
                    if scheduled_run.id == identifier:  # the process ended before it claimed the run
                        self._fail(
                            scheduled_run,
                            f"its process ended at once with {child.returncode}; see {self.log(scheduled_run)}",
                        )
        for scheduled_run in self.store.scheduled_runs(state=RUNNING):
            if not alive(scheduled_run.pid or 0, scheduled_run.pid_started or 0.0):
                self._fail(scheduled_run, "its process was killed")

    def _fail(self, scheduled_run: ScheduledRun, message: str) -> None:
        """Records a run as failed and sends the notifications in a thread."""
        outcome = Outcome(FAILED, message=message)
        paused = self.store.finish(scheduled_run, outcome, self.clock())
        schedule = next(
            (state.schedule for state in self.store.states() if state.schedule.name == scheduled_run.schedule), None
        )
        if schedule:
            arguments = (self.home, schedule, scheduled_run, outcome, paused)
            threading.Thread(target=notifying.notify_result, args=arguments, daemon=True).start()

    def _start(self) -> None:
        """Starts pending runs, at most `workers` at a time."""
        running = {run.id for run in self.store.scheduled_runs(state=RUNNING)}
        num_busy = len(running | self._children.keys())
        for scheduled_run in self.store.startable(self.clock()):
            if num_busy >= self.workers:
                return
            if scheduled_run.id not in self._children:
                self._children[scheduled_run.id] = self._spawn(scheduled_run)
                num_busy += 1

    def _spawn(self, scheduled_run: ScheduledRun) -> subprocess.Popen:
        """Starts the process that claims and executes a run; it outlives the daemon."""
        log = self.log(scheduled_run)
        log.parent.mkdir(parents=True, exist_ok=True)
        # -I: ignore a package named `pipeline` in the current folder or on PYTHONPATH.
        utf8 = ["-X", "utf8"] if sys.flags.utf8_mode else []  # -I ignores PYTHONUTF8
        command = [
            sys.executable,
            "-I",
            *utf8,
            "-m",
            "pipeline.scheduling.child",
            str(self.home),
            str(scheduled_run.id),
        ]
        with log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def log(self, scheduled_run: ScheduledRun) -> Path:
        """Returns the log file of the run's process."""
        return self.home / "scheduler" / "logs" / f"{scheduled_run.schedule}-{scheduled_run.id}.log"

    def health(self) -> dict:
        """Returns the state of the daemon, as JSON values."""
        age_seconds = self.clock() - self.last_tick
        is_healthy = not self.last_error and abs(age_seconds) < STALE_SECONDS
        return {
            "status": "ok" if is_healthy else "degraded",
            "trouble": self.last_error,
            "last_tick": self.last_tick,
            "running": [run.schedule for run in self.store.scheduled_runs(state=RUNNING)] if is_healthy else [],
        }


SCHEDULER = web.AppKey("scheduler", Scheduler)


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Holds the lock of the home folder's only daemon within this block.

    Raises:
        ConfigError: Another daemon holds the lock.
    """
    path = home / "scheduler" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)

    def refuse(holder: str) -> None:
        raise ConfigError(f"A scheduler works on {home} already ({holder}).") from None

    with locked(path, refuse):
        yield


def serve(scheduler: Scheduler, port: int, say: Callable[[str], None]) -> None:
    """Runs the scheduler with /healthz and /metrics on 127.0.0.1 until SIGINT or SIGTERM; running pipelines go on.

    Args:
        scheduler: The scheduler.
        port: Port number; 0 for a free one.
        say: Prints the URL of /healthz.

    Raises:
        ConfigError: Another daemon runs in the home folder, or the port is in use.
    """
    with only_one(scheduler.home):
        server_socket = listen(port)
        application = web.Application()
        application.add_routes([web.get("/healthz", _health), web.get("/metrics", _metrics)])
        application[SCHEDULER] = scheduler
        application.cleanup_ctx.append(_ticking)
        say(f"http://{HOST}:{server_socket.getsockname()[1]}/healthz")
        web.run_app(application, sock=server_socket, print=None, access_log=None)


async def _ticking(application: web.Application):
    scheduler: Scheduler = application[SCHEDULER]

    async def forever() -> None:
        while True:
            await asyncio.to_thread(scheduler.tick)
            await asyncio.sleep(TICK_SECONDS)

    task = asyncio.create_task(forever())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _health(request: web.Request) -> web.Response:
    health = await asyncio.to_thread(request.app[SCHEDULER].health)
    return web.Response(
        text=json.dumps(health), content_type="application/json", status=200 if health["status"] == "ok" else 503
    )


async def _metrics(request: web.Request) -> web.Response:
    scheduler = request.app[SCHEDULER]
    text = await asyncio.to_thread(metrics.text, scheduler.store, now=scheduler.clock(), last_tick=scheduler.last_tick)
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
