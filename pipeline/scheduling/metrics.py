"""The scheduler's metrics in Prometheus's text format 0.0.4."""

from collections import Counter

from models.serving.server.monitoring import label_text
from pipeline.scheduling import times
from pipeline.scheduling.store import RUNNING, SUCCEEDED, Store

HELP = {
    "headrace_scheduler_last_tick_timestamp_seconds": "When the scheduler last looked at all schedules.",
    "headrace_schedule_next_run_timestamp_seconds": "When the schedule is due next by its cron fields.",
    "headrace_schedule_last_success_timestamp_seconds": "When a run of it last ended well.",
    "headrace_schedule_failures_in_a_row": "Runs that did not end well since the last that did.",
    "headrace_schedule_paused": "1 while it is paused.",
    "headrace_schedule_running": "1 while its pipeline runs.",
    "headrace_schedule_runs": "Runs in its history, by what came of them.",
}


def text(store: Store, *, now: float, last_tick: float) -> str:
    """Returns the metrics of a home's schedules; `now` and when the scheduler looked last in seconds since 1970."""
    values: dict[str, list[tuple[dict[str, str], float]]] = {name: [] for name in HELP}
    values["headrace_scheduler_last_tick_timestamp_seconds"].append(({}, last_tick))
    fires = store.fires(limit=100_000)
    for state in store.states():
        name, labels = state.schedule.name, {"schedule": state.schedule.name}
        if state.schedule.cron and state.paused is None:
            due = next(times.after(state.schedule.cron, state.schedule.zone, now))
            values["headrace_schedule_next_run_timestamp_seconds"].append((labels, due))
        ended = [fire.ended for fire in fires if fire.schedule == name and fire.state == SUCCEEDED and fire.ended]
        if ended:
            values["headrace_schedule_last_success_timestamp_seconds"].append((labels, max(ended)))
        values["headrace_schedule_failures_in_a_row"].append((labels, state.failures))
        values["headrace_schedule_paused"].append((labels, state.paused is not None))
        running = any(fire.schedule == name and fire.state == RUNNING for fire in fires)
        values["headrace_schedule_running"].append((labels, running))
    for (name, outcome), count in sorted(Counter((fire.schedule, fire.state) for fire in fires).items()):
        values["headrace_schedule_runs"].append(({"schedule": name, "state": outcome}, count))
    lines = []
    for name, found in values.items():
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} gauge"]
        for labels, value in found:
            told = label_text(labels.items())
            lines.append(f"{name}{'{' + told + '}' if told else ''} {float(value):.17g}")
    return "\n".join(lines) + "\n"
