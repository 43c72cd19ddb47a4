"""Writes data sets as people have them, each into a folder; a function returns the path to give to `headrace new`."""

import datetime
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def _table(path: Path, header: str, row: Callable[[int], str], count: int = 300) -> None:
    path.write_text("\n".join([*([header] if header else []), *map(row, range(count))]) + "\n", encoding="utf-8")


def _numbers(seed: int) -> Callable[[int], str]:
    """Returns a function from a row's index to its cells: two numbers, and yes or no."""
    generator = random.Random(seed)

    def cells(index: int) -> str:
        return f"{generator.gauss(0, 1):.4f},{generator.gauss(0, 1):.4f},{'yes' if index % 3 else 'no'}"

    return cells


def _pictures(folder: Path, count: int, seed: int = 0) -> None:
    """Writes `count` different images of each of two classes, red and blue."""
    generator = random.Random(f"{seed}{folder}")
    for name, color in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image = Image.new("RGB", (8, 8), color)
            for _ in range(6):
                image.putpixel((generator.randrange(8), generator.randrange(8)), (generator.randrange(256), 90, 90))
            image.save(folder / name / f"{index}.png")


def _texts(folder: Path, count: int) -> None:
    for name in ("pos", "neg"):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            (folder / name / f"{index}.txt").write_text(f"{folder.name} number {index} is a {name} one of its own\n")


def pictures_in_split_folders(folder: Path) -> Path:
    for split, count in (("train", 30), ("val", 10), ("test", 10)):
        _pictures(folder / "data" / split, count)
    return folder / "data"


def texts_in_split_folders(folder: Path) -> Path:
    for split, count in (("train", 40), ("test", 20)):
        _texts(folder / "data" / split, count)
    (folder / "data" / "imdb.vocab").write_text("the\nof\n")
    return folder / "data"


def pictures_with_hidden_folder(folder: Path) -> Path:
    _pictures(folder / "data", 60)
    (folder / "data" / "red" / ".ipynb_checkpoints").mkdir()
    (folder / "data" / "red" / ".ipynb_checkpoints" / "0-checkpoint.png").write_bytes(b"none")
    return folder / "data"


def pictures_linked_deeply(folder: Path) -> Path:
    _pictures(folder / "store", 60)
    for name in ("red", "blue"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "more").symlink_to(folder / "store" / name, target_is_directory=True)
    return folder / "data"


def damaged_picture(folder: Path) -> Path:
    _pictures(folder / "data", 60)
    image = Image.effect_noise((64, 64), 80)
    image.save(folder / "data" / "red" / "truncated.jpg")
    content = (folder / "data" / "red" / "truncated.jpg").read_bytes()
    (folder / "data" / "red" / "truncated.jpg").write_bytes(content[: len(content) // 2])
    return folder / "data"


def table_without_header(folder: Path) -> Path:
    cells = _numbers(1)
    _table(folder / "data.csv", "", lambda index: cells(index).replace("yes", "Iris-setosa").replace("no", "Iris-x"))
    return folder / "data.csv"


def label_of_150_classes(folder: Path) -> Path:
    cells = _numbers(2)
    _table(
        folder / "data.csv", "x,z,label", lambda index: f"{cells(index).rsplit(',', 1)[0]},sku{index % 150:03}", 3000
    )
    return folder / "data.csv"


def column_called_inputs(folder: Path) -> Path:
    words = {"pos": "lovely happy fine bright great", "neg": "gloomy dull awful sad bad"}
    generator = random.Random(3)

    def row(index: int) -> str:
        label = ("pos", "neg")[index % 2]
        return json.dumps({"inputs": " ".join(generator.choices(words[label].split(), k=9)), "targets": label})

    _table(folder / "data.jsonl", "", row)
    return folder / "data.jsonl"


def columns_differing_in_case(folder: Path) -> Path:
    _table(folder / "data.csv", "A,a,label", _numbers(4))
    return folder / "data.csv"


def columns_differing_in_punctuation(folder: Path) -> Path:
    cells = _numbers(5)
    _table(folder / "data.csv", "a/b,a b,a.b,label", lambda index: f"{index % 17},{cells(index)}")
    return folder / "data.csv"


def _with_surrogate(folder: Path, text: Callable[[int], str]) -> Path:
    generator = random.Random(6)

    def row(index: int) -> str:
        cell = "\ud83d" if index == 7 else text(index)
        return json.dumps({"x": round(generator.gauss(0, 1), 4), "c": cell, "label": ("yes", "no")[index % 2]})

    _table(folder / "data.jsonl", "", row)
    return folder / "data.jsonl"


def surrogate_category(folder: Path) -> Path:
    return _with_surrogate(folder, lambda index: "abc"[index % 3])


def surrogate_text(folder: Path) -> Path:
    return _with_surrogate(folder, lambda index: f"some words here and {index} more of them")


def one_target_of_1e30(folder: Path) -> Path:
    generator = random.Random(7)
    cells = [f"{generator.random():.4f},{generator.random() * 3:.4f}" for _ in range(300)]
    _table(folder / "data.csv", "x,price", lambda index: "0.5,1e30" if index == 200 else cells[index])
    return folder / "data.csv"


def lines_before_the_header(folder: Path) -> Path:
    cells = _numbers(8)
    _table(folder / "data.csv", "# exported 2024-05-01\n\nx,c,label", cells)
    return folder / "data.csv"


def decimal_commas(folder: Path) -> Path:
    generator = random.Random(9)

    def row(index: int) -> str:
        area, share = (f"{generator.random() * maximum:.2f}".replace(".", ",") for maximum in (99, 9))
        price = f"{generator.randrange(1, 900)}.{generator.randrange(1000):03},{generator.randrange(100):02}"
        return f"{area};{price};{share} %;{'ja' if index % 3 else 'nein'}"

    _table(folder / "data.csv", "flaeche;preis;rabatt;label", row)
    return folder / "data.csv"


def codes_ids_dates(folder: Path) -> Path:
    generator = random.Random(10)

    def row(index: int) -> str:
        account, day = 9007199254741000 + generator.randrange(40), f"2024{index % 12 + 1:02}{index % 28 + 1:02}"
        code, label = f"{generator.randrange(40) * 997:05}", "yes" if index % 3 else "no"
        return f"{code},{account},{day},{generator.random():.4f},{label}"

    _table(folder / "data.csv", "zip,account,date,amount,label", row, 600)
    return folder / "data.csv"


def label_called_none(folder: Path) -> Path:
    cells = _numbers(11)
    _table(
        folder / "data.csv", "x,z,disorder", lambda index: cells(index).replace("yes", "None").replace("no", "Apnea")
    )
    return folder / "data.csv"


def spaces_after_commas(folder: Path) -> Path:
    cells = _numbers(12)
    _table(folder / "data.csv", "x, z, label", lambda index: cells(index).replace(",", ", "))
    return folder / "data.csv"


def label_in_three_spellings(folder: Path) -> Path:
    cells = _numbers(13)
    _table(
        folder / "data.csv",
        "x,z,label",
        lambda index: cells(index).replace("yes", ("yes", "Yes", "YES")[index // 3 % 3]),
    )
    return folder / "data.csv"


def boolean_label(folder: Path) -> Path:
    generator = random.Random(14)
    _table(folder / "data.jsonl", "", lambda index: json.dumps({"x": generator.random(), "label": index % 3 == 0}))
    return folder / "data.jsonl"


def nested_values(folder: Path) -> Path:
    generator = random.Random(15)
    rows = [{"x": generator.random(), "tags": [1, index], "label": "ab"[index % 2]} for index in range(300)]
    _table(folder / "data.jsonl", "", lambda index: json.dumps(rows[index]))
    return folder / "data.jsonl"


def separator_line(folder: Path) -> Path:
    cells = _numbers(16)
    _table(folder / "data.csv", "sep=;\nx;z;label", lambda index: cells(index).replace(",", ";"))
    return folder / "data.csv"


def trailing_comma(folder: Path) -> Path:
    cells = _numbers(17)
    _table(folder / "data.csv", "x,z,label,", lambda index: f"{cells(index)},")
    return folder / "data.csv"


def json_array(folder: Path) -> Path:
    generator = random.Random(18)
    rows = [{"x": generator.random(), "label": "ab"[index % 2]} for index in range(300)]
    (folder / "data.json").write_text(json.dumps(rows))
    return folder / "data.json"


def partitioned_parquet(folder: Path) -> Path:
    generator = random.Random(19)
    for region, year in itertools.product(("eu", "us"), (2023, 2024)):
        partition = folder / "data" / f"region={region}" / f"year={year}"
        partition.mkdir(parents=True)
        rows = [{"x": generator.random(), "label": "ab"[index % 2]} for index in range(80)]
        pq.write_table(pa.Table.from_pylist(rows), partition / "part-0.parquet")
    (folder / "data" / "_SUCCESS").touch()
    return folder / "data"


def _objects(folder: Path, row: Callable[[int, float], dict]) -> Path:
    """Writes 300 objects as JSON Lines; `row` returns an object by its index and a random number."""
    generator = random.Random(folder.name)
    _table(folder / "data.jsonl", "", lambda index: json.dumps(row(index, round(generator.gauss(0, 1), 6))))
    return folder / "data.jsonl"


def empty_strings(folder: Path) -> Path:
    def row(index: int, x: float) -> dict:
        age, plan = index % 37 + 20 if index % 9 else "", "abc"[index % 3] if index % 5 else ""
        return {"x": x, "age": age, "plan": plan, "label": ("yes", "no")[index % 2]}

    return _objects(folder, row)


def nan_literal(folder: Path) -> Path:
    return _objects(
        folder, lambda index, x: {"x": x if index % 9 else float("nan"), "n": index % 50, "label": index % 2}
    )


def numbers_as_strings(folder: Path) -> Path:
    def row(index: int, x: float) -> dict:
        return {"x": x, "age": str(index % 60) if index % 2 else index % 60, "label": ("yes", "no")[index // 2 % 2]}

    return _objects(folder, row)


def _parquet(folder: Path, label: list) -> Path:
    generator = random.Random(20)
    table = pa.table({"x": [generator.gauss(0, 1) for _ in label], "label": label})
    pq.write_table(table, folder / "data.parquet")
    return folder / "data.parquet"


def float_label(folder: Path) -> Path:
    return _parquet(
        folder, [None if index % 50 == 7 else float(index % 2 + 1 + (index % 50 == 9)) for index in range(300)]
    )


def unknown_integer_label(folder: Path) -> Path:
    _parquet(folder, [index % 4 for index in range(300)])
    return _run_file(folder, "data.parquet", 'x: number, label: {kind: label, classes: ["1", "2", "3"]}')


def overlapping_patterns(folder: Path) -> Path:
    _table(folder / "part-1.csv", "x,z,label", _numbers(24))
    (folder / "latest.csv").symlink_to("part-1.csv")
    return _run_file(
        folder,
        '["part*.csv", "*1.csv", "latest.csv"]',
        "x: number, z: number, label: {kind: label, classes: [no, yes]}",
    )


def _run_file(folder: Path, files: str, features: str) -> Path:
    (folder / "mine.yaml").write_text(
        f"task: tabular_classification\ndata: {{files: {files}, features: {{{features}}}}}\n"
    )
    return folder / "mine.yaml"


def label_trailing_spaces(folder: Path) -> Path:
    cells = _numbers(25)
    _table(folder / "data.csv", "x,z,label", lambda index: cells(index) + " " * (index % 3))
    return folder / "data.csv"


def target_far_from_zero(folder: Path) -> Path:
    generator = random.Random(21)

    def row(index: int) -> str:
        return f"{generator.gauss(0, 1):.4f},{generator.gauss(0, 1):.4f},{1e9 + generator.gauss(0, 5):.3f}"

    _table(folder / "data.csv", "x,z,reading", row)
    return folder / "data.csv"


def classes_in_two_unicode_forms(folder: Path) -> Path:
    generator, names = random.Random(22), ("Ann", "Jos\u00e9", "Ann", "Jose\u0301")
    _table(folder / "data.csv", "x,z,label", lambda index: f"{generator.random():.6f},{index % 7},{names[index % 4]}")
    return folder / "data.csv"


def semicolons_and_commas(folder: Path) -> Path:
    generator = random.Random(23)

    def row(index: int) -> str:
        return f"{generator.gauss(180, 9):.1f};{generator.gauss(70, 9):.1f};{generator.randrange(90)};{'ab'[index % 2]}"

    _table(folder / "data.csv", '"Gr\u00f6\u00dfe, cm";"Gewicht, kg";"Alter, Jahre";klasse', row)
    return folder / "data.csv"


def workbook(folder: Path) -> Path:
    generator, book = random.Random(20), openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Customers"
    sheet.append(["Report of May"])
    sheet.append(["x", "since", "vip", "label"])
    for index in range(300):
        day = datetime.date(2024, 1, 1) + datetime.timedelta(generator.randrange(300))
        sheet.append([generator.gauss(0, 1), day, bool(generator.randrange(2)), "ab"[index % 2]])
    sheet["A9"] = "=1/0"
    book.create_sheet("Notes")
    book.save(folder / "data.xlsx")
    return folder / "data.xlsx"


def class_of_one_row_in_a_thousand(folder: Path) -> Path:
    generator = random.Random(0)

    def row(index: int) -> str:
        label = "fraud" if index in (7, 1500, 2900) else "ok"
        return f"{generator.gauss(0, 1):.4f},{generator.random():.3f},{label}"

    _table(folder / "data.csv", "x,z,label", row, 3000)
    return folder / "data.csv"
