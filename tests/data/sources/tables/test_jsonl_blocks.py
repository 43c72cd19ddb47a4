"""Blocks of JSON Lines equal the records of the reader of rows, also for damaged files."""

import random

import pytest

from data.sources.tables import jsonl_blocks
from tests.data.sources.tables import both_ways

VALUES = [
    *("1", "2.5", "-0.0", "1e3", "NaN", "-Infinity", "true", "null", '"a"', '"é"', '" b\\n"', '""', "[]", "[1, 2.5]"),
    *('["a", null]', "[[1]]", '{"x": 1}', "{}", "[{}]", str(2**53 + 1), str(2**63), str(10**400), '"\\ud800"'),
    *('"\\ud83d\\ude00"', '"},{"', str(jsonl_blocks.SEPARATOR), f"{jsonl_blocks.SEPARATOR}.0"),
]
KEYS = ['"x"', '"x"', '"y"', '"y"', '"z"', '"é"', '""']
ODD_KEYS = ['"\\u0000"', '"\\ud800"', "1", '"a', *KEYS]
ODD = [
    *("1", "null", '"text"', "[1]", "[", "[{", '{"x": 1},{"y": 2}', '{"x":[{}', "{}]}", "{", "}", "not json"),
    *('{"x": 1}{"x": 2}', "[" * 2000, "9" * 5000, '{"x": "\n"}', '\ufeff{"x": 1}', '{"x": 1,}', "\f", "\x1c", ","),
    *('{"x":"', '"}', "{'x': 1}", "{},0,{}", f'{{}},{jsonl_blocks.SEPARATOR},{{}}', "0x1", '{"x": 01}', "[{}]", "[]"),
]  # fmt: skip
ENDS = ["\n"] * 40 + ["\r\n", "\n\n", " \n", "\t\n", "\r", "", "\n \n", "\v\n"]


def _random_file(choose: random.Random) -> bytes:
    """Returns the content of a small file of objects, some of them invalid."""
    odd_rate, odd_key_rate = choose.choice([0, 0, 0.02, 0.2]), choose.choice([0, 0, 0.02])
    values_of_keys = {key: choose.sample(VALUES, choose.choice([1, 1, 2, 20])) for key in ODD_KEYS}
    text = ""
    for _ in range(choose.randrange(30)):
        keys = [choose.choice(ODD_KEYS if choose.random() < odd_key_rate else KEYS) for _ in range(choose.randrange(4))]
        line = "{" + ", ".join(f"{key}: {choose.choice(values_of_keys[key])}" for key in keys) + "}"
        text += choose.choice(ODD) if choose.random() < odd_rate else line
        text += "\n" if choose.random() < 0.9 else choose.choice(ENDS)
    if choose.random() < 0.1:
        text = "[" + text.replace("\n", ",\n") + "]"
    content = text.encode()
    if choose.random() < 0.05:
        position = choose.randrange(len(content) + 1)
        content = content[:position] + choose.choice([b"\xff", b"\xc3", b"\xed\xa0\x80"]) + content[position:]
    return b"\xef\xbb\xbf" * (choose.random() < 0.05) + content


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_any_size_equal_the_records_of_nasty_files(tmp_path, seed):
    choose, path = random.Random(seed), tmp_path / "rows.jsonl"
    num_rows = 0
    for number in range(500):
        path.write_bytes(_random_file(choose))
        size = choose.choice([1, 8, 32, 64, 200, 1000, 2**22])

        from_blocks, from_records = both_ways.jsonl(path, size)

        assert from_blocks == from_records, (number, size, path.read_bytes())
        num_rows += len(from_blocks[0])
    assert num_rows > 1000


@pytest.mark.parametrize(
    "content", [b'[\n1e40{"x": 1}0, \xff]', b"[1e400NaNx2,\n\xff]", b'[{"x": 1}, -0.5e-3, 12345, {"x": 2}]']
)
def test_a_number_that_is_cut_off_at_the_end_of_a_piece_is_read_on(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    for size in range(1, 40):
        from_blocks, from_records = both_ways.jsonl(path, size)
        assert from_blocks == from_records, size
