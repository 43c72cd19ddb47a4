"""The scheduler's metrics in Prometheus's text format 0.0.4."""

from collections import Counter

from models.serving.server.monitoring import label_text
from pipeline.scheduling import times
from pipeline.scheduling.store import RUNNING, SUCCEEDED, Store

HELP = {
    "headrace_scheduler_last_tick_timestamp_seconds": "When the scheduler last checked all schedules.",
    "headrace_schedule_next_run_timestamp_seconds": "When the schedule is due next by its cron fields.",
    "headrace_schedule_last_success_timestamp_seconds": "When a run of the schedule last succeeded.",
    "headrace_schedule_failures_in_a_row": "Failed or refused runs since the last success.",
    "headrace_schedule_paused": "1 while the schedule is paused.",
    "headrace_schedule_running": "1 while its pipeline runs.",
    "headrace_schedule_runs": "Runs in the history of the schedule, by state.",
}


def text(store: Store, *, now: float, last_tick: float) -> str:
    """Returns the metrics of all schedules.

    Args:
        store: The schedules.
        now: Current time, in seconds since 1970.
        last_tick: End of the scheduler's last successful tick, in seconds since 1970.
    """
    values: dict[str, list[tuple[dict[str, str], float]]] = {name: [] for name in HELP}
    values["headrace_scheduler_last_tick_timestamp_seconds"].append(({}, last_tick))
    scheduled_runs = store.scheduled_runs(limit=100_000)
    for state in store.states():
        name, labels = state.schedule.name, {"schedule": state.schedule.name}
        if state.schedule.cron and state.paused is None:
            due = next(times.after(state.schedule.cron, state.schedule.zone, now))
            values["headrace_schedule_next_run_timestamp_seconds"].append((labels, due))
        ended = [run.ended for run in scheduled_runs if run.schedule == name and run.state == SUCCEEDED and run.ended]
        if ended:
            values["headrace_schedule_last_success_timestamp_seconds"].append((labels, max(ended)))
        values["headrace_schedule_failures_in_a_row"].append((labels, state.failures))
        values["headrace_schedule_paused"].append((labels, state.paused is not None))
        running = any(run.schedule == name and run.state == RUNNING for run in scheduled_runs)
        values["headrace_schedule_running"].append((labels, running))
    for (name, state_name), count in sorted(Counter((run.schedule, run.state) for run in scheduled_runs).items()):
        values["headrace_schedule_runs"].append(({"schedule": name, "state": state_name}, count))
    lines = []
    for name, samples in values.items():
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} gauge"]
        for labels, value in samples:
            label_set = label_text(labels.items())
            lines.append(f"{name}{'{' + label_set + '}' if label_set else ''} {float(value):.17g}")
    return "\n".join(lines) + "\n"
