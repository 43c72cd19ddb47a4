"""The scheduler: writes down what is due, starts it one at a time, notices what has ended, and says how it is."""

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
from pipeline.scheduling.store import FAILED, PENDING, RUNNING, Fire, Outcome, Schedule, State, Store

GRACE_SECONDS = 60.0  # by which one may be late and is not missed yet
TICK_SECONDS = 1.0
STALE_SECONDS = 60.0  # without a finished tick: the daemon is not well

logger = logging.getLogger(__name__)


@dataclass
class Scheduler:
    """Runs schedules of one home folder.

    Attributes:
        home: The home folder.
        workers: How many pipelines may run at a time; one never runs twice at a time.
        clock: Returns seconds since 1970; tests move it.
        poll_seconds: Seconds between two looks at data and drift.
        last_tick: When the last tick ended well; seconds since 1970.
        trouble: What went wrong in the last tick; empty where nothing did.
    """

    home: Path
    workers: int = 1
    clock: Callable[[], float] = time.time
    poll_seconds: float = 60.0
    last_tick: float = 0.0
    trouble: str = ""
    _children: dict[int, subprocess.Popen] = field(default_factory=dict)
    _looking: dict[str, subprocess.Popen] = field(default_factory=dict)
    _polled: float | None = None

    def __post_init__(self):
        self.store = Store.of(self.home)

    def tick(self) -> None:
        """Does all that is to be done at this moment; what goes wrong is told, and tried again at the next."""
        try:
            states = self.store.states()
            self._write_down(states)
            self._look_at_data(states)
            self._reap()
            self._start()
        except (OSError, sqlite3.Error) as error:  # a full disk, a database in use
            if str(error) != self.trouble:
                logger.error("the scheduler cannot work (%s); it tries again", error)
            self.trouble = str(error) or type(error).__name__
        except Exception as error:  # a fault of ours must not end the daemon either
            logger.exception("a fault of the scheduler")
            self.trouble = f"{type(error).__name__}: {error}"
        else:
            self.trouble, self.last_tick = "", self.clock()

    def _write_down(self, states: list[State]) -> None:
        """Writes down what has become due since the last look."""
        now = self.clock()
        for state in states:
            schedule = state.schedule
            if state.paused is not None or schedule.cron is None:
                continue
            # A clock that was set back is taken as it is: what was due already is known, and not due again.
            since = min(state.checked, now)
            dues = times.due_between(schedule.cron, schedule.zone, since, now)
            kept = times.caught_up(dues, schedule.catch_up, now, GRACE_SECONDS)
            if len(dues) > len(kept):
                logger.warning(
                    "%s: %d missed times are not run (%s)", schedule.name, len(dues) - len(kept), schedule.catch_up
                )
            fires = [(due, "cron", times.jittered(due, schedule.name, schedule.jitter)) for due in kept]
            if fires or now - state.checked > GRACE_SECONDS or now < state.checked:
                self.store.write_down(schedule.name, fires, checked=now)

    def _look_at_data(self, states: list[State]) -> None:
        """Writes down what new data or drift asks for."""
        now = self.clock()
        if self._polled is not None and 0 <= now - self._polled < self.poll_seconds:
            return
        self._polled = now
        for state in states:
            if state.paused is not None or triggers.waits(self.store, state.schedule):
                continue
            if state.schedule.on_new_data and triggers.new_data(self.home, state.schedule, self.poll_seconds):
                self.store.write_down(state.schedule.name, [(now, "new data", now)])
            elif state.schedule.on_drift is not None:
                self._look_for_drift(state.schedule, now)

    def _look_for_drift(self, schedule: Schedule, now: float) -> None:
        """Starts a look at drift, a process of its own as it loads TensorFlow; or takes what an earlier one found."""
        process = self._looking.pop(schedule.name, None)
        if process is None:
            command = triggers.drift_command(self.home, self.store, schedule, self.poll_seconds)
            if command:
                self._looking[schedule.name] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
        elif process.poll() is None:
            self._looking[schedule.name] = process
        elif process.returncode == triggers.DRIFTED:
            self.store.write_down(schedule.name, [(now, "drift", now)])

    def _reap(self) -> None:
        """Notices what has ended, also what an earlier daemon had started."""
        for identifier, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[identifier]
                for fire in self.store.fires(state=PENDING):
                    if fire.id == identifier:  # it ended before it could claim it
                        self._give_up(fire, f"its process ended at once with {child.returncode}; see {self.log(fire)}")
        for fire in self.store.fires(state=RUNNING):
            if not alive(fire.pid or 0, fire.pid_started or 0.0):
                self._give_up(fire, "its process was killed")

    def _give_up(self, fire: Fire, message: str) -> None:
        outcome = Outcome(FAILED, message=message)
        paused = self.store.finish(fire, outcome, self.clock())
        schedule = next((one.schedule for one in self.store.states() if one.schedule.name == fire.schedule), None)
        if schedule:
            told = (self.home, schedule, fire, outcome, paused)
            threading.Thread(target=notifying.tell, args=told, daemon=True).start()

    def _start(self) -> None:
        """Starts what may start, as many at a time as there are workers."""
        running = {fire.id for fire in self.store.fires(state=RUNNING)}
        busy = len(running | self._children.keys())
        for fire in self.store.startable(self.clock()):
            if busy >= self.workers:
                return
            if fire.id not in self._children:
                self._children[fire.id] = self._spawn(fire)
                busy += 1

    def _spawn(self, fire: Fire) -> subprocess.Popen:
        """Starts the process that claims a fire; it outlives the daemon."""
        log = self.log(fire)
        log.parent.mkdir(parents=True, exist_ok=True)
        # -I: no `pipeline` of the current folder or on PYTHONPATH is taken for ours.
        utf8 = ["-X", "utf8"] if sys.flags.utf8_mode else []  # which -I does not take from the environment
        command = [sys.executable, "-I", *utf8, "-m", "pipeline.scheduling.child", str(self.home), str(fire.id)]
        with log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def log(self, fire: Fire) -> Path:
        """Returns the file with what a fire's process printed."""
        return self.home / "scheduler" / "logs" / f"{fire.schedule}-{fire.id}.log"

    def health(self) -> dict:
        """Returns how the daemon is, as JSON values."""
        behind = self.clock() - self.last_tick
        well = not self.trouble and abs(behind) < STALE_SECONDS
        return {
            "status": "ok" if well else "degraded",
            "trouble": self.trouble,
            "last_tick": self.last_tick,
            "running": [fire.schedule for fire in self.store.fires(state=RUNNING)] if well else [],
        }


SCHEDULER = web.AppKey("scheduler", Scheduler)


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Within this block no other daemon works on the home folder.

    Raises:
        ConfigError: Another one does.
    """
    path = home / "scheduler" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)

    def taken(holder: str) -> None:
        raise ConfigError(f"A scheduler works on {home} already ({holder}).") from None

    with locked(path, taken):
        yield


def serve(scheduler: Scheduler, port: int, say: Callable[[str], None]) -> None:
    """Ticks, and answers /healthz and /metrics on 127.0.0.1, until SIGINT or SIGTERM; running pipelines go on.

    Raises:
        ConfigError: Another daemon works on the home folder, or the port is taken.
    """
    with only_one(scheduler.home):
        listening = listen(port)
        application = web.Application()
        application.add_routes([web.get("/healthz", _health), web.get("/metrics", _metrics)])
        application[SCHEDULER] = scheduler
        application.cleanup_ctx.append(_ticking)
        say(f"http://{HOST}:{listening.getsockname()[1]}/healthz")
        web.run_app(application, sock=listening, print=None, access_log=None)


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
    told = await asyncio.to_thread(request.app[SCHEDULER].health)
    return web.Response(
        text=json.dumps(told), content_type="application/json", status=200 if told["status"] == "ok" else 503
    )


async def _metrics(request: web.Request) -> web.Response:
    scheduler = request.app[SCHEDULER]
    text = await asyncio.to_thread(metrics.text, scheduler.store, now=scheduler.clock(), last_tick=scheduler.last_tick)
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
