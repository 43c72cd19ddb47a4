"""Schedules and what came of them, in SQLite: each step is one transaction, so that a killed daemon loses nothing.

A fire is one time at which a pipeline has to run. It is written down before it runs, and only one process can claim it.
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
KEPT = 1000  # fires of a schedule that stay in its history

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
        name: The pipeline's.
        target: What `headrace run` is given: a name, or the path of a run file.
        overrides: `--set` of each run.
        cron: Five cron fields; None where only data decides.
        zone: Time zone of `cron`.
        on_new_data: Whether it runs as well when there is new data.
        on_drift: Distance from which on it runs as well; None for never.
        jitter: Seconds by which a start is put off at most.
        max_failures: Failures in a row after which it is paused.
        catch_up: What becomes of missed times: `once`, `skip` or `all`.
        time_limit: Seconds after which a run is stopped.
        canary: Percent of the requests that a version gets which it publishes; None lets it go live.
        promote_after: Seconds after which such a canary is made live; None: a person decides.
        notify: Whom to tell, as the run file says it.
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
        """Returns its overrides as words of a command."""
        return [word for one in self.overrides for word in ("--set", one)]

    def command(self, verb: str, home: str, *words: str) -> list[str]:
        """Returns the command of a verb of ours about its pipeline."""
        program = str(Path(sys.executable).with_name("headrace"))
        return [program, verb, self.target, "--home", home, *words, *self.settings()]


@dataclass(frozen=True)
class State:
    """A schedule and where it stands.

    Attributes:
        schedule: The schedule.
        checked: Up to when its due times were written down, seconds since 1970.
        failures: Failures in a row.
        paused: Why it is paused; None while it is not.
    """

    schedule: Schedule
    checked: float
    failures: int
    paused: str | None


@dataclass(frozen=True)
class Fire:
    """One time at which a pipeline has to run, or ran.

    Attributes:
        id: Its number.
        schedule: The schedule's name.
        due: When it was due, seconds since 1970.
        reason: `cron`, `new data`, `drift` or `by hand`.
        run_after: When it may start: `due` and the jitter.
        state: `pending`, `running`, `succeeded`, `refused` (by a gate), `failed` or `skipped`.
        pid: Process number of who claimed it.
        pid_started: When that process began, seconds since 1970.
        started: When it was claimed.
        ended: When it ended.
        exit_code: Of `headrace run`.
        run: Identifier of the run.
        message: What there is to say of it.
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
    """What came of a run.

    Attributes:
        state: `succeeded`, `refused` or `failed`.
        exit_code: Of `headrace run`; None where it did not come to one.
        run: Its identifier.
        message: What there is to say of it.
    """

    state: str
    exit_code: int | None = None
    run: str | None = None
    message: str = ""


@dataclass
class Store:
    """The schedules of one home folder.

    Attributes:
        path: The database; made where there is none.
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
        """Adds a schedule, or changes the one of that name; what was due before `now` is not run."""
        with self._transaction() as connection:
            connection.execute(
                "insert into schedule (name, facts, checked) values (?, ?, ?) on conflict (name) do update set "
                "facts = excluded.facts, checked = excluded.checked, failures = 0, paused = null",
                (schedule.name, json.dumps({**asdict(schedule), "target": self._recorded(schedule.target)}), now),
            )

    def _recorded(self, target: str) -> str:
        """Returns a target as it is stored: a run file below the home relative to it, for the home may move."""
        home = self.path.parents[1]
        return str(Path(target).relative_to(home)) if Path(target).is_relative_to(home) else target

    def _state(self, row: sqlite3.Row) -> State:
        known = {one.name for one in fields(Schedule)}
        facts = {name: value for name, value in json.loads(row["facts"]).items() if name in known}
        facts["overrides"], facts["notify"] = tuple(facts.get("overrides", ())), tuple(facts.get("notify", ()))
        if facts["target"].endswith((".yaml", ".yml")):
            facts["target"] = str(self.path.parents[1] / facts["target"])
        return State(Schedule(**facts), row["checked"], row["failures"], row["paused"])

    def states(self) -> list[State]:
        """Returns all schedules, by name."""
        with self._transaction() as connection:
            return [self._state(row) for row in connection.execute("select * from schedule order by name").fetchall()]

    def state(self, name: str) -> State:
        """Returns a schedule; raises ConfigError where there is none of that name."""
        for state in self.states():
            if state.schedule.name == name:
                return state
        names = ", ".join(state.schedule.name for state in self.states()) or "none"
        raise ConfigError(f"There is no schedule {name}; schedules: {names}.")

    def remove(self, name: str) -> None:
        """Removes a schedule and what it still had to run; its history stays."""
        self.state(name)
        with self._transaction() as connection:
            connection.execute("delete from schedule where name = ?", (name,))
            connection.execute(
                "update fire set state = ?, message = 'its schedule was removed' where schedule = ? and state = ?",
                (SKIPPED, name, PENDING),
            )

    def pause(self, name: str, why: str) -> None:
        """Pauses a schedule; what it still had to run waits."""
        self.state(name)
        with self._transaction() as connection:
            connection.execute("update schedule set paused = ? where name = ?", (why, name))

    def resume(self, name: str, now: float) -> None:
        """Lets a paused schedule go on; what would have been due meanwhile is not run."""
        self.state(name)
        with self._transaction() as connection:
            connection.execute(
                "update schedule set paused = null, failures = 0, checked = ? where name = ?", (now, name)
            )

    # --- fires --------------------------------------------------------------------------------------------------------

    def write_down(self, name: str, fires: list[tuple[float, str, float]], checked: float | None = None) -> int:
        """Writes down when a schedule has to run, in one transaction with up to when that is known.

        Args:
            name: The schedule.
            fires: When it is due, why, and when it may start; one that is known already is left as it is.
            checked: Up to when its due times are written down then.

        Returns:
            How many are new.
        """
        with self._transaction() as connection:
            before = connection.total_changes
            for due, reason, run_after in fires:
                connection.execute(
                    "insert or ignore into fire (schedule, due, reason, run_after) values (?, ?, ?, ?)",
                    (name, due, reason, run_after),
                )
            new = connection.total_changes - before
            if checked is not None:
                connection.execute("update schedule set checked = ? where name = ?", (checked, name))
            connection.execute(
                "delete from fire where schedule = ? and state not in (?, ?) and id not in "
                "(select id from fire where schedule = ? order by id desc limit ?)",
                (name, PENDING, RUNNING, name, KEPT),
            )
        return new

    def fires(self, name: str | None = None, *, state: str | None = None, limit: int = KEPT) -> list[Fire]:
        """Returns fires, the newest first; of one schedule, in one state."""
        query = "select * from fire where (:name is null or schedule = :name) and (:state is null or state = :state) "
        with self._transaction() as connection:
            asked = {"name": name, "state": state, "limit": limit}
            rows = connection.execute(query + "order by id desc limit :limit", asked).fetchall()
        return [Fire(**dict(row)) for row in rows]

    def startable(self, now: float) -> list[Fire]:
        """Returns what may start: of schedules that are not paused, the one that waits longest first."""
        query = (
            "select f.* from fire f join schedule s on s.name = f.schedule where f.state = ? and f.run_after <= ? "
            "and s.paused is null and f.schedule not in (select schedule from fire where state = ?) "
            "order by f.run_after, f.id"
        )
        with self._transaction() as connection:
            rows = connection.execute(query, (PENDING, now, RUNNING)).fetchall()
        found: dict[str, Fire] = {}
        for row in rows:
            found.setdefault(row["schedule"], Fire(**dict(row)))
        return list(found.values())

    def claim(self, identifier: int, pid: int, pid_started: float, now: float) -> Fire | None:
        """Makes a process the one that runs a fire; None where another was first, or its pipeline runs already."""
        claim = (
            "update fire set state = ?, pid = ?, pid_started = ?, started = ? where id = ? and state = ? and "
            "schedule not in (select schedule from fire where state = ?)"
        )
        with self._transaction() as connection:
            changed = connection.execute(claim, (RUNNING, pid, pid_started, now, identifier, PENDING, RUNNING)).rowcount
            row = connection.execute("select * from fire where id = ?", (identifier,)).fetchone()
        return Fire(**dict(row)) if changed else None

    def finish(self, fire: Fire, outcome: Outcome, now: float) -> bool:
        """Writes down what came of a fire; returns whether its schedule is paused by it, after too many failures."""
        with self._transaction() as connection:
            changed = connection.execute(
                "update fire set state = ?, ended = ?, exit_code = ?, run = ?, message = ? "
                "where id = ? and state in (?, ?)",
                (outcome.state, now, outcome.exit_code, outcome.run, outcome.message, fire.id, PENDING, RUNNING),
            ).rowcount
            row = connection.execute("select * from schedule where name = ?", (fire.schedule,)).fetchone()
            if not changed or row is None:
                return False
            failures = 0 if outcome.state == SUCCEEDED else row["failures"] + 1
            limit = self._state(row).schedule.max_failures
            paused = row["paused"]
            stops = paused is None and failures >= limit
            if stops:
                paused = f"{failures} failures in a row, the last: {outcome.message}"[:500]
            connection.execute(
                "update schedule set failures = ?, paused = ? where name = ?", (failures, paused, fire.schedule)
            )
        return stops
