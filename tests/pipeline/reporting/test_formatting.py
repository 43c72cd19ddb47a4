import pytest

from pipeline.reporting import formatting


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.91234, "0.9123"), (1234, "1,234"), (12345.6, "12,346"), (3.14159, "3.142"), (0.00001, "1e-05"), (None, ""),
     ("text", "text"), (float("nan"), "none"), (True, "True"), (1.0, "1")],
)  # fmt: skip
def test_numbers_are_written_as_people_read_them(value, words):
    assert formatting.number(value) == words


@pytest.mark.parametrize(("seconds", "words"), [(3.14, "3.1 s"), (200, "3 min 20 s"), (7260, "2 h 1 min")])
def test_durations_are_written_in_words(seconds, words):
    assert formatting.duration(seconds) == words
