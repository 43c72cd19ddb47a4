import pytest

from data.texts import is_name, is_unicode


@pytest.mark.parametrize("text", ["", "plain", "שלום 🙂", "\u202e", "\0"])
def test_what_utf8_can_hold(text):
    assert is_unicode(text)
    assert text.encode().decode() == text


def test_half_of_a_surrogate_pair_is_no_text_and_a_zero_byte_no_name():
    assert not is_unicode("cut off \ud83d")
    assert not is_name("cut off \ud83d")
    assert not is_name("a\0b")
    assert is_name("a/b {} 🙂")
