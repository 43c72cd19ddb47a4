"""Makes inputs as people have them, each in a folder; a function returns what a person names of it."""

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
    """Returns cells of a table: two numbers and yes or no."""
    generator = random.Random(seed)

    def cells(index: int) -> str:
        return f"{generator.gauss(0, 1):.4f},{generator.gauss(0, 1):.4f},{'yes' if index % 3 else 'no'}"

    return cells


def _pictures(folder: Path, count: int, seed: int = 0) -> None:
    """Writes `count` pictures of each class, red and blue, each of its own."""
    generator = random.Random(f"{seed}{folder}")
    for name, base in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image = Image.new("RGB", (8, 8), base)
            for _ in range(6):
                image.putpixel((generator.randrange(8), generator.randrange(8)), (generator.randrange(256), 90, 90))
            image.save(folder / name / f"{index}.png")


def _texts(folder: Path, count: int) -> None:
    for name in ("pos", "neg"):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            (folder / name / f"{index}.txt").write_text(f"{folder.name} number {index} is a {name} one of its own\n")


def pictures_in_split_folders(place: Path) -> Path:
    for split, count in (("train", 30), ("val", 10), ("test", 10)):
        _pictures(place / "data" / split, count)
    return place / "data"


def texts_in_split_folders(place: Path) -> Path:
    for split, count in (("train", 40), ("test", 20)):
        _texts(place / "data" / split, count)
    (place / "data" / "imdb.vocab").write_text("the\nof\n")
    return place / "data"


def pictures_with_hidden_folder(place: Path) -> Path:
    _pictures(place / "data", 60)
    (place / "data" / "red" / ".ipynb_checkpoints").mkdir()
    (place / "data" / "red" / ".ipynb_checkpoints" / "0-checkpoint.png").write_bytes(b"none")
    return place / "data"


def pictures_linked_deeply(place: Path) -> Path:
    _pictures(place / "store", 60)
    for name in ("red", "blue"):
        (place / "data" / name).mkdir(parents=True)
        (place / "data" / name / "more").symlink_to(place / "store" / name, target_is_directory=True)
    return place / "data"


def damaged_picture(place: Path) -> Path:
    _pictures(place / "data", 60)
    image = Image.effect_noise((64, 64), 80)
    image.save(place / "data" / "red" / "truncated.jpg")
    content = (place / "data" / "red" / "truncated.jpg").read_bytes()
    (place / "data" / "red" / "truncated.jpg").write_bytes(content[: len(content) // 2])
    return place / "data"


def header_that_is_none(place: Path) -> Path:
    cells = _numbers(1)
    _table(place / "data.csv", "", lambda index: cells(index).replace("yes", "Iris-setosa").replace("no", "Iris-x"))
    return place / "data.csv"


def label_of_150_classes(place: Path) -> Path:
    cells = _numbers(2)
    _table(place / "data.csv", "x,z,label", lambda index: f"{cells(index).rsplit(',', 1)[0]},sku{index % 150:03}", 3000)
    return place / "data.csv"


def column_called_inputs(place: Path) -> Path:
    words = {"pos": "lovely happy fine bright great", "neg": "gloomy dull awful sad bad"}
    generator = random.Random(3)

    def row(index: int) -> str:
        kind = ("pos", "neg")[index % 2]
        return json.dumps({"inputs": " ".join(generator.choices(words[kind].split(), k=9)), "targets": kind})

    _table(place / "data.jsonl", "", row)
    return place / "data.jsonl"


def columns_alike_but_for_case(place: Path) -> Path:
    _table(place / "data.csv", "A,a,label", _numbers(4))
    return place / "data.csv"


def columns_alike_but_for_punctuation(place: Path) -> Path:
    cells = _numbers(5)
    _table(place / "data.csv", "a/b,a b,a.b,label", lambda index: f"{index % 17},{cells(index)}")
    return place / "data.csv"


def _with_surrogate(place: Path, text: Callable[[int], str]) -> Path:
    generator = random.Random(6)

    def row(index: int) -> str:
        cell = "\ud83d" if index == 7 else text(index)
        return json.dumps({"x": round(generator.gauss(0, 1), 4), "c": cell, "label": ("yes", "no")[index % 2]})

    _table(place / "data.jsonl", "", row)
    return place / "data.jsonl"


def surrogate_category(place: Path) -> Path:
    return _with_surrogate(place, lambda index: "abc"[index % 3])


def surrogate_text(place: Path) -> Path:
    return _with_surrogate(place, lambda index: f"some words here and {index} more of them")


def one_target_of_1e30(place: Path) -> Path:
    generator = random.Random(7)
    cells = [f"{generator.random():.4f},{generator.random() * 3:.4f}" for _ in range(300)]
    _table(place / "data.csv", "x,price", lambda index: "0.5,1e30" if index == 200 else cells[index])
    return place / "data.csv"


def preamble(place: Path) -> Path:
    cells = _numbers(8)
    _table(place / "data.csv", "# exported 2024-05-01\n\nx,c,label", cells)
    return place / "data.csv"


def decimal_commas(place: Path) -> Path:
    generator = random.Random(9)

    def row(index: int) -> str:
        area, share = (f"{generator.random() * most:.2f}".replace(".", ",") for most in (99, 9))
        price = f"{generator.randrange(1, 900)}.{generator.randrange(1000):03},{generator.randrange(100):02}"
        return f"{area};{price};{share} %;{'ja' if index % 3 else 'nein'}"

    _table(place / "data.csv", "flaeche;preis;rabatt;label", row)
    return place / "data.csv"


def codes_ids_dates(place: Path) -> Path:
    generator = random.Random(10)

    def row(index: int) -> str:
        account, day = 9007199254741000 + generator.randrange(40), f"2024{index % 12 + 1:02}{index % 28 + 1:02}"
        code, label = f"{generator.randrange(40) * 997:05}", "yes" if index % 3 else "no"
        return f"{code},{account},{day},{generator.random():.4f},{label}"

    _table(place / "data.csv", "zip,account,date,amount,label", row, 600)
    return place / "data.csv"


def label_called_none(place: Path) -> Path:
    cells = _numbers(11)
    _table(place / "data.csv", "x,z,disorder", lambda index: cells(index).replace("yes", "None").replace("no", "Apnea"))
    return place / "data.csv"


def spaces_after_commas(place: Path) -> Path:
    cells = _numbers(12)
    _table(place / "data.csv", "x, z, label", lambda index: cells(index).replace(",", ", "))
    return place / "data.csv"


def label_in_three_spellings(place: Path) -> Path:
    cells = _numbers(13)
    _table(
        place / "data.csv",
        "x,z,label",
        lambda index: cells(index).replace("yes", ("yes", "Yes", "YES")[index // 3 % 3]),
    )
    return place / "data.csv"


def boolean_label(place: Path) -> Path:
    generator = random.Random(14)
    _table(place / "data.jsonl", "", lambda index: json.dumps({"x": generator.random(), "label": index % 3 == 0}))
    return place / "data.jsonl"


def nested_values(place: Path) -> Path:
    generator = random.Random(15)
    cells = [{"x": generator.random(), "tags": [1, index], "label": "ab"[index % 2]} for index in range(300)]
    _table(place / "data.jsonl", "", lambda index: json.dumps(cells[index]))
    return place / "data.jsonl"


def sep_line(place: Path) -> Path:
    cells = _numbers(16)
    _table(place / "data.csv", "sep=;\nx;z;label", lambda index: cells(index).replace(",", ";"))
    return place / "data.csv"


def trailing_comma(place: Path) -> Path:
    cells = _numbers(17)
    _table(place / "data.csv", "x,z,label,", lambda index: f"{cells(index)},")
    return place / "data.csv"


def array(place: Path) -> Path:
    generator = random.Random(18)
    rows = [{"x": generator.random(), "label": "ab"[index % 2]} for index in range(300)]
    (place / "data.json").write_text(json.dumps(rows))
    return place / "data.json"


def partitioned_parquet(place: Path) -> Path:
    generator = random.Random(19)
    for region, year in itertools.product(("eu", "us"), (2023, 2024)):
        folder = place / "data" / f"region={region}" / f"year={year}"
        folder.mkdir(parents=True)
        rows = [{"x": generator.random(), "label": "ab"[index % 2]} for index in range(80)]
        pq.write_table(pa.Table.from_pylist(rows), folder / "part-0.parquet")
    (place / "data" / "_SUCCESS").touch()
    return place / "data"


def _objects(place: Path, row: Callable[[int, float], dict]) -> Path:
    """Writes 300 objects as JSON Lines; `row` makes one of its index and a number."""
    generator = random.Random(place.name)
    _table(place / "data.jsonl", "", lambda index: json.dumps(row(index, round(generator.gauss(0, 1), 6))))
    return place / "data.jsonl"


def empty_strings(place: Path) -> Path:
    def row(index: int, x: float) -> dict:
        age, plan = index % 37 + 20 if index % 9 else "", "abc"[index % 3] if index % 5 else ""
        return {"x": x, "age": age, "plan": plan, "label": ("yes", "no")[index % 2]}

    return _objects(place, row)


def nan_literal(place: Path) -> Path:
    return _objects(
        place, lambda index, x: {"x": x if index % 9 else float("nan"), "n": index % 50, "label": index % 2}
    )


def numbers_as_strings(place: Path) -> Path:
    def row(index: int, x: float) -> dict:
        return {"x": x, "age": str(index % 60) if index % 2 else index % 60, "label": ("yes", "no")[index // 2 % 2]}

    return _objects(place, row)


def _typed(place: Path, label: list) -> Path:
    generator = random.Random(20)
    table = pa.table({"x": [generator.gauss(0, 1) for _ in label], "label": label})
    pq.write_table(table, place / "data.parquet")
    return place / "data.parquet"


def float_label(place: Path) -> Path:
    return _typed(
        place, [None if index % 50 == 7 else float(index % 2 + 1 + (index % 50 == 9)) for index in range(300)]
    )


def unknown_integer_label(place: Path) -> Path:
    _typed(place, [index % 4 for index in range(300)])
    return _run_file(place, "data.parquet", 'x: number, label: {kind: label, classes: ["1", "2", "3"]}')


def overlapping_patterns(place: Path) -> Path:
    _table(place / "part-1.csv", "x,z,label", _numbers(24))
    (place / "latest.csv").symlink_to("part-1.csv")
    return _run_file(
        place, '["part*.csv", "*1.csv", "latest.csv"]', "x: number, z: number, label: {kind: label, classes: [no, yes]}"
    )


def _run_file(place: Path, files: str, features: str) -> Path:
    (place / "mine.yaml").write_text(
        f"task: tabular_classification\ndata: {{files: {files}, features: {{{features}}}}}\n"
    )
    return place / "mine.yaml"


def label_trailing_spaces(place: Path) -> Path:
    cells = _numbers(25)
    _table(place / "data.csv", "x,z,label", lambda index: cells(index) + " " * (index % 3))
    return place / "data.csv"


def target_far_from_zero(place: Path) -> Path:
    generator = random.Random(21)

    def row(index: int) -> str:
        return f"{generator.gauss(0, 1):.4f},{generator.gauss(0, 1):.4f},{1e9 + generator.gauss(0, 5):.3f}"

    _table(place / "data.csv", "x,z,reading", row)
    return place / "data.csv"


def class_twins_nfc_nfd(place: Path) -> Path:
    generator, names = random.Random(22), ("Ann", "Jos\u00e9", "Ann", "Jose\u0301")
    _table(place / "data.csv", "x,z,label", lambda index: f"{generator.random():.6f},{index % 7},{names[index % 4]}")
    return place / "data.csv"


def semicolons_and_commas(place: Path) -> Path:
    generator = random.Random(23)

    def row(index: int) -> str:
        return f"{generator.gauss(180, 9):.1f};{generator.gauss(70, 9):.1f};{generator.randrange(90)};{'ab'[index % 2]}"

    _table(place / "data.csv", '"Gr\u00f6\u00dfe, cm";"Gewicht, kg";"Alter, Jahre";klasse', row)
    return place / "data.csv"


def workbook(place: Path) -> Path:
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
    book.save(place / "data.xlsx")
    return place / "data.xlsx"


def one_in_a_thousand(place: Path) -> Path:
    generator = random.Random(0)

    def row(index: int) -> str:
        label = "fraud" if index in (7, 1500, 2900) else "ok"
        return f"{generator.gauss(0, 1):.4f},{generator.random():.3f},{label}"

    _table(place / "data.csv", "x,z,label", row, 3000)
    return place / "data.csv"
