"""Real signals to this process."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from pipeline.core import signals
from pipeline.core.signals import Stopped, stop_on_signals
from tests.waiting import PATIENCE_S


def _send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)  # the handler raises during the sleep


def _interrupt() -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
    return True


def _clean_up_after_a_signal(give_up: Callable[[int], None], clean_up: Callable[[], object]) -> None:
    with stop_on_signals(give_up):
        try:
            _send(signal.SIGTERM)
        finally:
            clean_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_block_with_its_number(number):
    before = signal.getsignal(number)

    with pytest.raises(Stopped, match=number.name) as caught, stop_on_signals(lambda number: None):
        _send(number)

    assert caught.value.number == number
    assert signal.getsignal(number) is before


def test_a_second_signal_does_not_stop_the_clean_up():
    cleaned: list[bool] = []

    with pytest.raises(Stopped, match="SIGTERM"):
        _clean_up_after_a_signal(lambda number: None, lambda: cleaned.append(_interrupt()))

    assert cleaned == [True]


def test_a_block_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.05)
    given_up = threading.Event()
    numbers: list[int] = []

    def give_up(number: int) -> None:
        numbers.append(number)
        given_up.set()

    with pytest.raises(Stopped):
        _clean_up_after_a_signal(give_up, lambda: given_up.wait(PATIENCE_S))

    assert numbers == [signal.SIGTERM]
