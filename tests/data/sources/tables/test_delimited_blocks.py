"""Blocks of CSV files equal the records of the reader of rows, also for damaged files."""

import random

import pytest

from data.sources.tables import delimited_blocks
from data.sources.tables.dialect import Layout
from tests.data.sources.tables import both_ways

CELLS = ["1", "2.5", "a", "", " b ", '"c"', '"d,e"', '"f\ng"', '"h""i"', '""', "x", "y", '"x"', "é", "#", "'", "\t"]
ODD = ['j"k', '"l', '"m" n', ' "o"', "\0", "\r", "p\rq", '"r\r\ns"', '"\r"', '"""', '"t"u"', "sep=;", "﻿"]
ENDS = ["\n"] * 20 + ["\r\n"] * 5 + ["\n\n", "\n\r\n", "\r", "\n \n", ",\n", ""]


def _random_file(choose: random.Random) -> bytes:
    """Returns the content of a small CSV file, some of whose rows are invalid."""
    width = choose.choice([1, 2, 2, 3, 3, 4])
    odd_rate, other_width_rate, crlf = (
        choose.choice([0, 0, 0.02, 0.2]),
        choose.choice([0, 0, 0.1]),
        choose.random() < 0.2,
    )
    usual_end = choose.choice(["", "", "", ","])
    lines = [",".join("xyzw"[:width])] * choose.choice([1, 1, 1, 0]) + [""] * choose.choice([0, 0, 1])
    for _ in range(choose.randrange(30)):
        count = width + (choose.choice([-1, 1]) if choose.random() < other_width_rate else 0)
        cells = [choose.choice(ODD if choose.random() < odd_rate else CELLS) for _ in range(count)]
        lines.append(",".join(cells) + usual_end)
    if choose.random() < 0.1:
        lines.insert(choose.randrange(len(lines) + 1), ",".join(choose.sample("xyzw"[:width], width)))
    usual = "\r\n" if crlf else "\n"
    text = "".join(line + (usual if choose.random() < 0.95 else choose.choice(ENDS)) for line in lines)
    content = text.encode()
    if choose.random() < 0.05:
        position = choose.randrange(len(content) + 1)
        content = content[:position] + choose.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xfc"]) + content[position:]
    return b"\xef\xbb\xbf" * (choose.random() < 0.05) + content


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_any_size_equal_the_records_of_nasty_files(tmp_path, seed):
    choose, path = random.Random(seed), tmp_path / "rows.csv"
    layouts = [Layout(), Layout(), Layout(header=False), Layout(names=("x", "y")), Layout(delimiter=";")]
    num_rows = 0
    for number in range(400):
        path.write_bytes(_random_file(choose))
        layout, size = choose.choice(layouts), choose.choice([1, 8, 32, 64, 200, 1000, 2**22])

        from_blocks, from_records = both_ways.csv(path, layout, size)

        assert from_blocks == from_records, (number, size, layout, path.read_bytes())
        num_rows += len(from_blocks[0])
    assert num_rows > 1000


@pytest.mark.parametrize("block_bytes", [1, 200, 2**22])
@pytest.mark.parametrize("header", ["a,b,c\n", '"a\n",b,c\n', ""])
def test_remarks_above_the_table_are_no_rows_however_long_they_are(tmp_path, header, block_bytes):
    line = f"# Remark {'x' * 120}{',,' if header else ''}\n"  # 150 of them have 20 KB, more than EXACT_BYTES
    path = tmp_path / "rows.csv"
    path.write_text(150 * line + header + "".join(f"{number},2,3\n" for number in range(300)))
    layout = Layout(header=bool(header))

    from_blocks, from_records = both_ways.csv(path, layout, block_bytes)

    assert from_blocks == from_records
    assert len(from_blocks[0]) == 300


def test_a_block_of_many_columns_has_more_bytes_than_one_of_few(tmp_path):
    path, row = tmp_path / "rows.csv", ",".join(["123.456789"] * 2000)
    path.write_text(",".join(f"n{number}" for number in range(2000)) + "\n" + f"{row}\n" * 500)

    sizes = [len(block) for block in delimited_blocks.read(path)]

    assert sizes == [500]  # 11 MiB
