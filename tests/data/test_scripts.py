import pytest

from data.scripts import cut, isolated, num_words


def test_a_right_to_left_text_is_set_off_from_what_stands_beside_it():
    assert isolated("جيد") == "\u2068جيد\u2069"
    assert isolated("label=טוב") == "\u2068label=טוב\u2069"
    assert [isolated(text) for text in ("good", "很好", "अच्छी", "")] == ["good", "很好", "अच्छी", ""]


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
