"""When a canary is taken back or promoted, by the responses of a server, which are made up."""

import time
from dataclasses import asdict

import pytest

from models.serving.rollout import rollouts
from models.serving.rollout.canary import Figures
from models.serving.rollout.rollouts import Canary
from pipeline.live import canaries
from pipeline.live.canaries import Verdict, judge

URL = "http://server"
GOOD = Figures(requests=100, errors=0, p95_ms=5.0)
SLOW = Figures(requests=100, errors=0, p95_ms=50.0)


@pytest.fixture
def folder(tmp_path):
    """A pipeline `digits` with versions 1, which is live, and 2."""
    for version in (1, 2):
        (tmp_path / "digits" / str(version)).mkdir(parents=True)
    rollouts.promote(tmp_path / "digits", 1)
    return tmp_path / "digits"


@pytest.fixture
def server_responds(monkeypatch):
    """Returns a function that sets the server's responses about the canary: its statistics, and its load error."""

    def set_responses(figures: Figures, load_error: str = "") -> None:
        state = {"state": "END", "status": {"error_code": "NOT_FOUND", "error_message": load_error}}
        monkeypatch.setattr(
            canaries,
            "_get",
            {
                f"{URL}/monitoring/versions": {"digits": {"2": asdict(figures)}},
                f"{URL}/v1/models/digits/versions/2": {"model_version_status": [state] if load_error else []},
            }.get,
        )

    return set_responses


def test_without_a_canary_the_server_is_not_asked(folder, monkeypatch):
    monkeypatch.setattr(canaries, "_get", None)

    assert judge({"digits": folder, "gone": folder / "none"}, URL) == []


def test_a_canary_within_its_budget_goes_on(folder, server_responds):
    rollouts.start_canary(folder, Canary(2, 10, p95_ms=20))
    server_responds(GOOD)

    assert judge({"digits": folder}, URL) == []
    assert rollouts.read(folder).canary.version == 2


def test_a_canary_over_its_budget_is_taken_back(folder, server_responds):
    rollouts.start_canary(folder, Canary(2, 10, p95_ms=20))
    server_responds(SLOW)

    (verdict,) = judge({"digits": folder}, URL)

    assert verdict == Verdict("digits", 2, "taken back", "p95 50.0 ms of 100 requests, at most 20 ms")
    assert rollouts.read(folder).canary is None


def test_a_load_error_comes_before_other_reasons(folder, server_responds):
    rollouts.start_canary(folder, Canary(2, 10, p95_ms=20))
    server_responds(SLOW, "no SavedModel")

    assert judge({"digits": folder}, URL) == [Verdict("digits", 2, "taken back", "it does not load: no SavedModel")]


@pytest.mark.parametrize(("seconds", "figures"), [(3600, GOOD), (0.01, Figures(requests=1))])
def test_a_canary_that_is_not_due_or_has_few_requests_is_not_promoted(folder, server_responds, seconds, figures):
    rollouts.start_canary(folder, Canary(2, 10, promote_after_s=seconds))
    server_responds(figures)
    time.sleep(0.02)

    assert judge({"digits": folder}, URL) == []


def test_a_canary_within_its_budget_is_promoted_when_due(folder, server_responds):
    rollouts.start_canary(folder, Canary(2, 10, promote_after_s=0.01))
    server_responds(GOOD)
    time.sleep(0.02)

    assert judge({"digits": folder}, URL) == [
        Verdict("digits", 2, "promoted", "0 of the last 100 requests failed, p95 5.0 ms")
    ]
    assert rollouts.read(folder).stable == 2


def test_a_failed_write_is_a_verdict_with_the_reason(folder, server_responds):
    rollouts.start_canary(folder, Canary(2, 10, p95_ms=20))
    server_responds(SLOW)
    (folder / rollouts.LOCK).unlink()
    (folder / rollouts.LOCK).mkdir()

    assert judge({"digits": folder}, URL) == [Verdict("digits", 2, "not taken back", f"Is a directory ({folder})")]
