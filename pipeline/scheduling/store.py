"""Schedules and their runs in SQLite. Each step is one transaction, so that a killed daemon loses nothing.

A scheduled run is one due time of a pipeline. It is recorded before it starts, and only one process can claim it. Its
table is named `fire`, as in the homes of older versions.
"""

import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from data.errors import ConfigError

PENDING, RUNNING, SUCCEEDED, REFUSED, FAILED, SKIPPED = (
    "pending",
    "running",
    "succeeded",
    "refused",
    "failed",
    "skipped",
)
MAX_HISTORY = 1000  # runs that the history of a schedule keeps

_TABLES = """
create table if not exists schedule (name text primary key, facts text not null, checked real not null,
  failures integer not null default 0, paused text);
create table if not exists fire (id integer primary key autoincrement, schedule text not null, due real not null,
  reason text not null, run_after real not null, state text not null default 'pending', pid integer, pid_started real,
  started real, ended real, exit_code integer, run text, message text, unique (schedule, due, reason));
create index if not exists fire_state on fire (state, run_after);
"""


@dataclass(frozen=True)
class Schedule:
    """When and how a pipeline runs by itself.

    Attributes:
        name: Name of the pipeline.
        target: Argument of `headrace run`: a pipeline's name, or the path of a run file.
        overrides: Values of `--set` for each run.
        cron: Five cron fields; None for a schedule that only new data or drift starts.
        zone: IANA time zone of `cron`.
        on_new_data: Whether new data starts a run, too.
        on_drift: Smallest drift distance, in (0, 1], that starts a run; None for never.
        jitter: Longest random delay of a start, in seconds.
        max_failures: Consecutive failures after which the schedule is paused.
        catch_up: Policy for missed due times: `once`, `skip` or `all`.
        time_limit: Longest duration of a run, in seconds.
        canary: Percentage of requests for a newly published version; None makes it live at once.
        promote_after: Seconds after which that canary is promoted; None leaves the promotion to a person.
        notify: Notification channels, as in the run file.
    """

    name: str
    target: str
    overrides: tuple[str, ...] = ()
    cron: str | None = None
    zone: str = "UTC"
    on_new_data: bool = False
    on_drift: float | None = None
    jitter: float = 0.0
    max_failures: int = 3
    catch_up: str = "once"
    time_limit: float = 86400.0
    canary: float | None = None
    promote_after: float | None = None
    notify: tuple[dict[str, Any], ...] = ()

    def settings(self) -> list[str]:
        """Returns the overrides as command-line arguments."""
        return [argument for override in self.overrides for argument in ("--set", override)]

    def command(self, verb: str, home: str, *arguments: str) -> list[str]:
        """Returns the command line of `headrace VERB` for the pipeline."""
        program = str(Path(sys.executable).with_name("headrace"))
        return [program, verb, self.target, "--home", home, *arguments, *self.settings()]


@dataclass(frozen=True)
class State:
    """A schedule and its state.

    Attributes:
        schedule: The schedule.
        checked: Time up to which its due times are recorded, in seconds since 1970.
        failures: Number of consecutive failures.
        paused: Reason of the pause; None while the schedule is active.
    """

    schedule: Schedule
    checked: float
    failures: int
    paused: str | None


@dataclass(frozen=True)
class ScheduledRun:
    """A run of a pipeline at one due time: waiting, in progress or ended.

    Attributes:
        id: Row number.
        schedule: Name of the schedule.
        due: Due time, in seconds since 1970.
        reason: `cron`, `new data`, `drift` or `by hand`.
        run_after: Earliest start: `due` plus the jitter, in seconds since 1970.
        state: `pending`, `running`, `succeeded`, `refused` (by a gate), `failed` or `skipped`.
        pid: Identifier of the process that claimed it.
        pid_started: Start time of that process, in seconds since 1970.
        started: Time of the claim, in seconds since 1970.
        ended: End time, in seconds since 1970.
        exit_code: Exit code of `headrace run`.
        run: Identifier of the run in the home.
        message: Result or error, in one sentence.
    """

    id: int
    schedule: str
    due: float
    reason: str
    run_after: float
    state: str = PENDING
    pid: int | None = None
    pid_started: float | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    run: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
        state: `succeeded`, `refused` or `failed`.
        exit_code: Exit code of `headrace run`; None if there is none.
        run: Identifier of the run in the home.
        message: Result or error, in one sentence.
    """

    state: str
    exit_code: int | None = None
    run: str | None = None
    message: str = ""


@dataclass
class Store:
    """The schedules of one home folder.

    Attributes:
        path: The database file; created if missing.
    """

    path: Path
    _ready: bool = field(default=False, repr=False)

    @classmethod
    def of(cls, home: Path) -> "Store":
        """Returns the store of a home folder."""
        return cls(home.resolve() / "scheduler" / "schedules.db")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._ready:
            self.path.touch(0o640)  # it holds webhooks; SQLite's other files get the mode of this one
        with contextlib.closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            if not self._ready:
                connection.executescript(f"pragma journal_mode=wal; {_TABLES}")
                self._ready = True
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    # --- schedules ----------------------------------------------------------------------------------------------------

    def add(self, schedule: Schedule, now: float) -> None:
        """Adds or replaces a schedule; due times before `now` are not run."""
        with self._transaction() as connection:
            connection.execute(
                "insert into schedule (name, facts, checked) values (?, ?, ?) on conflict (name) do update set "
                "facts = excluded.facts, checked = excluded.checked, failures = 0, paused = null",
                (schedule.name, json.dumps({**asdict(schedule), "target": self._stored_target(schedule.target)}), now),
            )

    def _stored_target(self, target: str) -> str:
        """Returns the target to store: a run file inside the home has a relative path, so that the home can move."""
        home = self.path.parents[1]
        return str(Path(target).relative_to(home)) if Path(target).is_relative_to(home) else target

    def _state(self, row: sqlite3.Row) -> State:
        field_names = {field.name for field in fields(Schedule)}
        values = {name: value for name, value in json.loads(row["facts"]).items() if name in field_names}
        values["overrides"], values["notify"] = tuple(values.get("overrides", ())), tuple(values.get("notify", ()))
        if values["target"].endswith((".yaml", ".yml")):
            values["target"] = str(self.path.parents[1] / values["target"])
        return State(Schedule(**values), row["checked"], row["failures"], row["paused"])

    def states(self) -> list[State]:
        """Returns all schedules, sorted by name."""
        with self._transaction() as connection:
            return [self._state(row) for row in connection.execute("select * from schedule order by name").fetchall()]

    def state(self, name: str) -> State:
        """Returns the schedule of that name; raises ConfigError if there is none."""
        for state in self.states():
            if state.schedule.name == name:
                return state
        names = ", ".join(state.schedule.name for state in self.states()) or "none"
        raise ConfigError(f"There is no schedule {name}; schedules: {names}.")

    def remove(self, name: str) -> None:
        """Removes a schedule and skips its pending runs; its history stays."""
        self.state(name)
        with self._transaction() as connection:
            connection.execute("delete from schedule where name = ?", (name,))
            connection.execute(
                "update fire set state = ?, message = 'its schedule was removed' where schedule = ? and state = ?",
                (SKIPPED, name, PENDING),
            )

    def pause(self, name: str, why: str) -> None:
        """Pauses a schedule; its pending runs wait."""
        self.state(name)
        with self._transaction() as connection:
            connection.execute("update schedule set paused = ? where name = ?", (why, name))

    def resume(self, name: str, now: float) -> None:
        """Resumes a paused schedule; due times during the pause are not run."""
        self.state(name)
        with self._transaction() as connection:
            connection.execute(
                "update schedule set paused = null, failures = 0, checked = ? where name = ?", (now, name)
            )

    # --- scheduled runs -----------------------------------------------------------------------------------------------

    def enqueue(self, name: str, due_runs: list[tuple[float, str, float]], checked: float | None = None) -> int:
        """Records due runs of a schedule and the time up to which they are complete, in one transaction.

        Args:
            name: Name of the schedule.
            due_runs: Tuples (due time, reason, earliest start), times in seconds since 1970. Runs that are recorded
                already stay unchanged.
            checked: Time up to which all due times are recorded; None leaves it unchanged.

        Returns:
            Number of new runs.
        """
        with self._transaction() as connection:
            before = connection.total_changes
            for due, reason, run_after in due_runs:
                connection.execute(
                    "insert or ignore into fire (schedule, due, reason, run_after) values (?, ?, ?, ?)",
                    (name, due, reason, run_after),
                )
            num_new = connection.total_changes - before
            if checked is not None:
                connection.execute("update schedule set checked = ? where name = ?", (checked, name))
            connection.execute(
                "delete from fire where schedule = ? and state not in (?, ?) and id not in "
                "(select id from fire where schedule = ? order by id desc limit ?)",
                (name, PENDING, RUNNING, name, MAX_HISTORY),
            )
        return num_new

    def scheduled_runs(
        self, name: str | None = None, *, state: str | None = None, limit: int = MAX_HISTORY
    ) -> list[ScheduledRun]:
        """Returns the newest `limit` runs, newest first; only those of a schedule or in a state if given."""
        query = "select * from fire where (:name is null or schedule = :name) and (:state is null or state = :state) "
        with self._transaction() as connection:
            parameters = {"name": name, "state": state, "limit": limit}
            rows = connection.execute(query + "order by id desc limit :limit", parameters).fetchall()
        return [ScheduledRun(**dict(row)) for row in rows]

    def startable(self, now: float) -> list[ScheduledRun]:
        """Returns the runs that may start: the first of each idle, active schedule, longest wait first."""
        query = (
            "select f.* from fire f join schedule s on s.name = f.schedule where f.state = ? and f.run_after <= ? "
            "and s.paused is null and f.schedule not in (select schedule from fire where state = ?) "
            "order by f.run_after, f.id"
        )
        with self._transaction() as connection:
            rows = connection.execute(query, (PENDING, now, RUNNING)).fetchall()
        first_runs: dict[str, ScheduledRun] = {}
        for row in rows:
            first_runs.setdefault(row["schedule"], ScheduledRun(**dict(row)))
        return list(first_runs.values())

    def claim(self, identifier: int, pid: int, pid_started: float, now: float) -> ScheduledRun | None:
        """Assigns a run to a process; returns None if another process has it, or if the pipeline is running."""
        statement = (
            "update fire set state = ?, pid = ?, pid_started = ?, started = ? where id = ? and state = ? and "
            "schedule not in (select schedule from fire where state = ?)"
        )
        with self._transaction() as connection:
            changed = connection.execute(
                statement, (RUNNING, pid, pid_started, now, identifier, PENDING, RUNNING)
            ).rowcount
            row = connection.execute("select * from fire where id = ?", (identifier,)).fetchone()
        return ScheduledRun(**dict(row)) if changed else None

    def finish(self, scheduled_run: ScheduledRun, outcome: Outcome, now: float) -> bool:
        """Records the result of a run; returns whether the schedule was paused by it, after too many failures."""
        with self._transaction() as connection:
            changed = connection.execute(
                "update fire set state = ?, ended = ?, exit_code = ?, run = ?, message = ? "
                "where id = ? and state in (?, ?)",
                (
                    outcome.state,
                    now,
                    outcome.exit_code,
                    outcome.run,
                    outcome.message,
                    scheduled_run.id,
                    PENDING,
                    RUNNING,
                ),
            ).rowcount
            row = connection.execute("select * from schedule where name = ?", (scheduled_run.schedule,)).fetchone()
            if not changed or row is None:
                return False
            failures = 0 if outcome.state == SUCCEEDED else row["failures"] + 1
            limit = self._state(row).schedule.max_failures
            paused = row["paused"]
            is_pausing = paused is None and failures >= limit
            if is_pausing:
                paused = f"{failures} failures in a row, the last: {outcome.message}"[:500]
            connection.execute(
                "update schedule set failures = ?, paused = ? where name = ?",
                (failures, paused, scheduled_run.schedule),
            )
        return is_pausing
