"""What a canary is taken back for."""

from models.serving.rollout.canary import ENOUGH, WINDOW, Figures, Recent, breach
from models.serving.rollout.rollouts import Canary


def _recent(*calls):
    recent = Recent()
    for failed, seconds in calls:
        recent.add(failed, seconds)
    return recent.figures()


def test_figures_are_of_the_last_requests_only():
    result = _recent(*[(True, 9.0)] * 50, *[(False, 0.01)] * (WINDOW - 10), *[(False, 0.02)] * 10)

    assert result == Figures(WINDOW, 0, 10.0)
    assert _recent() == Figures()
    assert _recent((True, 0.5)) == Figures(1, 1, 500.0)


def test_a_canary_within_its_budget_stays():
    budget = Canary(2, 10, max_error_rate=0.1, p95_ms=50)

    assert breach(budget, Figures(100, 10, 50.0), Figures()) is None
    assert breach(budget, Figures(ENOUGH - 1, ENOUGH - 1, 900.0), Figures()) is None


def test_a_canary_that_fails_too_often_has_to_go():
    budget = Canary(2, 10, max_error_rate=0.1)

    assert breach(budget, Figures(20, 10, 1.0), Figures(200)) == "error rate 50.0% of 20 requests, at most 10.0%"
    assert breach(budget, Figures(20, 10, 1.0), Figures(200, 20)) == (
        "error rate 50.0% (stable 10.0%) of 20 requests, at most 10.0%"
    )


def test_one_error_among_few_requests_is_no_breach():
    assert breach(Canary(2, 10), Figures(20, 1, 1.0), Figures(200)) is None
    assert breach(Canary(2, 10), Figures(20, 2, 1.0), Figures(200)) == ("error rate 10.0% of 20 requests, at most 1.0%")


def test_errors_that_the_stable_version_makes_too_are_the_clients():
    assert breach(Canary(2, 10, max_error_rate=0.1), Figures(20, 10, 1.0), Figures(200, 90)) is None


def test_a_canary_that_is_too_slow_has_to_go():
    result = breach(Canary(2, 10, p95_ms=50), Figures(20, 0, 60.0), Figures())

    assert result == "p95 60.0 ms of 20 requests, at most 50 ms"
