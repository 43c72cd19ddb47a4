"""The encoding of text that is not UTF-8 is recognised, with the name of iconv; other bytes have none."""

# ruff: noqa: RUF001 - letters of other scripts are what this is about

import gzip

import pytest

from data.errors import DataError
from data.sources.encoding import recognised
from data.sources.records import text_lines

TEXTS = {
    "CP1252": "age,name\n3,Müller\n4,Weiß\n",
    "CP1250": "Příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń",
    "CP1251": "Привет, как дела? Это длинный русский текст о погоде.",
    "KOI8-R": "Привет, как дела? Это длинный русский текст о погоде и о жизни.",
    "CP1253": "Καλημέρα, τι κάνεις; Σήμερα ο καιρός είναι καλός.",
    "CP932": "これは日本語の文章です。今日は天気がいいですね。",
    "GB18030": "这是一个中文句子，今天天气很好，我们去公园吧。",
    "BIG5": "這是一個中文句子，今天天氣很好，我們去公園吧。",
    "EUC-KR": "안녕하세요 오늘 날씨가 좋네요 같이 공원에 갑시다",
    "UTF-16": "hello, with a mark",
    "UTF-16LE": "hello, wörld without a mark",
}


@pytest.mark.parametrize("name", TEXTS)
def test_an_encoding_is_recognised(name):
    assert recognised(TEXTS[name].encode(name.lower())) == name


@pytest.mark.parametrize("content", [b"a \xa3 30 share", b"the caf\xe9 closed\n", b"it\x92s \x93so\x94"])
def test_a_few_non_ascii_characters_are_taken_for_cp1252(content):
    assert recognised(b"nothing but ASCII\n" * 1000 + content) == "CP1252"


def test_bytes_that_are_no_text_have_no_encoding():
    assert recognised(bytes(range(256)) * 16) is None


def _refusal(path) -> str:
    with pytest.raises(DataError) as caught:
        list(text_lines(path))
    return str(caught.value)


def test_the_encoding_of_a_table_is_recognised_by_the_lines_that_follow(tmp_path):
    (tmp_path / "a table.csv").write_bytes("name\nя\nПривет, как дела\nдлинный русский текст\n".encode("cp1251"))

    assert _refusal(tmp_path / "a table.csv").endswith(
        "a table.csv:2: expected UTF-8, found what looks like CP1251 (byte 0xff at position 1 of the line); convert "
        f"the file: iconv -f CP1251 -t UTF-8 '{tmp_path}/a table.csv' > '{tmp_path}/a table.utf8.csv'"
    )


def test_a_compressed_table_is_unpacked_before_it_is_converted(tmp_path):
    (tmp_path / "rows.2024.csv.gz").write_bytes(gzip.compress("name\nMüller\n".encode("cp1252")))

    assert _refusal(tmp_path / "rows.2024.csv.gz").endswith(
        f"convert the file: zcat {tmp_path}/rows.2024.csv.gz | iconv -f CP1252 -t UTF-8 > {tmp_path}/rows.2024.utf8.csv"
    )


def test_the_message_for_a_file_in_two_encodings_names_the_line(tmp_path):
    (tmp_path / "rows.csv").write_bytes("name\nMüller\n".encode() + "Weiß\n".encode("cp1252"))

    message = _refusal(tmp_path / "rows.csv")

    assert "rows.csv:3: expected UTF-8, found what looks like CP1252" in message
    assert message.endswith("lines before it are UTF-8: mend this one.")
