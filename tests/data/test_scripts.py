import pytest

from data.scripts import cut, isolated, num_words, printable


def test_a_right_to_left_text_is_isolated_from_the_text_around_it():
    assert isolated("جيد") == "\u2068جيد\u2069"
    assert isolated("label=טוב") == "\u2068label=טוב\u2069"
    assert [isolated(text) for text in ("good", "很好", "अच्छी", "")] == ["good", "很好", "अच्छी", ""]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("red \x1b[31m", r"red \x1b[31m"),
        ("a\r\n\tb\a\x9b", r"a\r\n\tb\x07\x9b"),
        ("cat\u202egod", r"cat\u202egod"),
        ("cat\u2067god", r"cat\u2067god"),
        ("cat\u2069\u2068god", r"cat\u2069\u2068god"),
        ("half \ud83d \u2028", r"half \ud83d \u2028"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printable(text) == shown
    assert isolated(text) == shown


def test_printable_text_is_unchanged():
    texts = ["crème brûlée", "好", "👩\u200d🚀", "नमस्ते", "no\u00a0break", isolated("جيد"), "a\\x1b"]

    assert [printable(text) for text in texts] == texts


def test_a_cut_text_keeps_the_signs_of_its_last_letter():
    assert cut("हिन्दी", 1) == "हि"
    assert cut("e\u0301te", 1) == "e\u0301"
    assert cut("👩\u200d🚀 and more", 1) == "👩\u200d🚀"
    assert cut("abc", 2) == "ab"
    assert cut("abc", 9) == "abc"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a sunny day", 3),
        ("room 101 on floor 3", 3),
        ("我们一起去公园", 3.5),
        ("อาหาร", 1.25),
        ("नमस्ते दुनिया", 2),
        ("", 0),
    ],
)
def test_words_are_counted_in_any_script(text, words):
    assert num_words(text) == words
