import pytest

from pipeline.scheduling import planning
from pipeline.scheduling.store import Schedule, Store
from tests.conftest import headrace


def test_a_run_on_drift_needs_a_data_gate_that_does_not_stop_at_drift(tmp_path):
    refused = headrace("schedule", "add", "digits", "--on-drift", "0.2", "--home", tmp_path)
    accepted = headrace(
        "schedule", "add", "digits", "--on-drift", "0.2", "--set", "data.checks.drift.policy=warn", "--home", tmp_path
    )

    assert refused.code == 2
    assert "add --set data.checks.drift.policy=warn" in refused.err
    assert accepted.code == 0, accepted.err
    assert Store.of(tmp_path).state("digits").schedule.overrides == (
        "data.checks.drift.policy=warn", "evaluate.challenge=not_worse",
    )  # fmt: skip


def test_the_history_of_an_unknown_schedule_is_refused(tmp_path):
    Store.of(tmp_path).add(Schedule("digits", "digits", cron="0 3 * * *"), 0.0)

    unknown = headrace("schedule", "history", "NOPE", "--home", tmp_path)
    never_ran = headrace("schedule", "history", "digits", "--home", tmp_path)

    assert unknown.code == 2
    assert "There is no schedule NOPE; schedules: digits." in unknown.err
    assert (never_ran.code, never_ran.out) == (0, "nothing has run yet\n")


def test_the_history_of_a_removed_schedule_is_shown(tmp_path):
    store = Store.of(tmp_path)
    store.add(Schedule("digits", "digits", cron="0 3 * * *"), 0.0)
    store.enqueue("digits", [(100.0, "by hand", 100.0)])
    store.remove("digits")

    history = headrace("schedule", "history", "digits", "--home", tmp_path)

    assert history.code == 0
    assert "its schedule was removed" in history.out


@pytest.mark.parametrize(
    ("evaluate", "overrides"),
    [
        ("{}", ("evaluate.challenge=not_worse",)),
        ("{challenge: off}", ()),
        ("{challenge: better}", ()),
        ("{against_live: never}", ()),
    ],
)
def test_a_challenge_is_added_unless_the_run_file_sets_one(tmp_path, evaluate, overrides):
    (tmp_path / "mine.yaml").write_text(f"task: image_classification\ndata: {{name: digits}}\nevaluate: {evaluate}\n")

    schedule = planning.complete(Schedule("mine", str(tmp_path / "mine.yaml"), cron="0 3 * * *"))

    assert schedule.overrides == overrides
