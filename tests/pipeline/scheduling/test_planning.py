from pipeline.scheduling.store import Store
from tests.conftest import headrace


def test_a_pipeline_that_stops_at_drift_is_not_to_follow_it(tmp_path):
    refused = headrace("schedule", "add", "digits", "--on-drift", "0.2", "--home", tmp_path)
    taken = headrace(
        "schedule", "add", "digits", "--on-drift", "0.2", "--set", "data.checks.drift.policy=warn", "--home", tmp_path
    )

    assert refused.code == 2
    assert "add --set data.checks.drift.policy=warn" in refused.err
    assert taken.code == 0, taken.err
    assert Store.of(tmp_path).state("digits").schedule.overrides == (
        "data.checks.drift.policy=warn", "evaluate.challenge=not_worse",
    )  # fmt: skip
