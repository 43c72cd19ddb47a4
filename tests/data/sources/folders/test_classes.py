"""Folders of classes that a run file names; other layouts of folders are refused in one sentence."""

import os
import unicodedata

import pytest

from data import local
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.loading import open_rows
from data.sources.folders import classes
from data.spec import BadRow
from tests.data.keeping import kept

TEXT = {"text": {"kind": "text"}}


def _texts(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"a text called {name}")


def _dataset(folder, files="data", **features):
    config = DataConfig.model_validate({"files": files, "features": {**TEXT, **features}})
    return local.dataset(config, "texts", folder), config


def _refusal(folder, files="data", **features) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        _dataset(folder, files, **features)
    return str(caught.value).replace(f"{folder}/", "")


def test_the_parent_of_splits_is_refused_with_what_to_write(tmp_path):
    _texts(tmp_path / "data", "train/good/1", "train/bad/2", "val/good/3", "val/bad/4", "test/good/5", "test/bad/6")

    message = _refusal(tmp_path)

    assert message == (
        "data.files: the folders in data are splits (test, train, val), with folders of classes in them; write "
        "files: {train: data/train, validation: data/val, test: data/test}"
    )
    classes = {"kind": "label", "classes": ["test", "train", "val"]}  # as an older `headrace new` wrote it
    assert _refusal(tmp_path, label=classes) == message


def test_the_parent_of_splits_and_another_folder_is_refused_with_what_to_write(tmp_path):
    _texts(tmp_path / "data", "train/good/1", "train/bad/2", "test/good/3", "test/bad/4", "unlabeled/5")

    assert _refusal(tmp_path) == (
        "data.files: the folders in data are splits (test, train), with folders of classes in them, unlike what lies "
        "beside them (unlabeled); write files: {train: data/train, test: data/test}"
    )


def test_splits_without_classes_are_refused_unless_the_run_file_calls_them_classes(tmp_path):
    _texts(tmp_path / "data", "train/1", "test/2")

    assert "have the names of splits (test, train) and no folders of classes in them; move" in _refusal(tmp_path)

    dataset, config = _dataset(tmp_path, label={"kind": "label", "classes": ["test", "train"]})
    assert sorted(row["label"] for _, row in open_rows(dataset, config)) == [0, 1]


def test_train_among_other_classes_is_a_class(tmp_path):
    _texts(tmp_path / "data", "train/1", "bus/2", "ship/3")

    assert _dataset(tmp_path)[0].spec.features["label"].classes == ("bus", "ship", "train")


def test_an_additional_folder_above_the_classes_is_reported(tmp_path):
    _texts(tmp_path / "data", "README.txt", "all/good/1", "all/bad/2")

    assert _refusal(tmp_path) == (
        "data.files: data has one folder, all, with folders in it (bad, good); if those are the classes, write "
        "files: data/all"
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "data is empty; it needs a folder for each class, with images or texts in it."),
        (["part-0.csv", "part-1.csv"],
         "data has 2 files (.csv) and no folders; name tables by a pattern in data.files, such as data/*.csv; headrace "
         "new takes one of them."),
        (["1.jpg", "2.jpg", "notes"],
         "data has 3 files (.jpg, no ending) and no folders; it needs one for each class, such as data/cat, with its "
         "images or texts in it."),
        (["fox.0.jpg", "fox.1.jpg", "hen.0.jpg", "hen.1.jpg", "notes"],
         "data has 5 files (.jpg, no ending) and no folders; it needs one for each class, such as data/fox, with its "
         "images or texts in it; by their names they are of fox, hen."),
    ],
)  # fmt: skip
def test_a_folder_without_class_folders_is_refused_with_its_content(tmp_path, names, message):
    (tmp_path / "data").mkdir()
    _texts(tmp_path / "data", *names)

    assert _refusal(tmp_path) == message


def test_all_empty_class_folders_are_named_at_once(tmp_path):
    _texts(tmp_path / "data", "good/1", "bad/2")
    for name in ("so", "so so"):
        (tmp_path / "data" / name).mkdir()
    dataset, config = _dataset(tmp_path)

    with pytest.raises(DataError, match=r"data/so, .*data/so so have no files; fill or remove the folders"):
        list(open_rows(dataset, config))


def test_a_link_to_another_class_folder_is_reported(tmp_path):
    _texts(tmp_path / "data", "bad/1", "good/2")
    (tmp_path / "data" / "worse").symlink_to("bad")
    (tmp_path / "data" / "none").mkdir()
    dataset, config = _dataset(tmp_path)

    with pytest.raises(DataError) as caught:
        list(open_rows(dataset, config))

    assert str(caught.value).replace(f"{tmp_path}/", "") == (
        "data/worse is a link to data/bad, which is listed already; remove the link; data/none has no files; fill or "
        "remove the folder."
    )


def test_new_and_digest_and_ingest_see_the_same_files(tmp_path):
    _texts(tmp_path / "data", "good/1", "good/deep/2", "bad/3", "elsewhere")
    dataset, config = _dataset(tmp_path)
    before = dataset.digest()

    _texts(tmp_path / "data", "good/.ipynb_checkpoints/1", "bad/.DS_Store")
    assert _dataset(tmp_path)[0].digest() == before

    _texts(tmp_path / "more", "4")
    (tmp_path / "data" / "bad" / "more").symlink_to(tmp_path / "more")
    assert _dataset(tmp_path)[0].digest() != before
    assert sorted(row["text"][-1] for _, row in open_rows(dataset, config)) == ["1", "2", "3", "4"]


def test_an_unknown_class_folder_is_one_problem_for_all_its_files(tmp_path):
    _texts(tmp_path / "data", *(f"{name}/{i}" for name in ("good", "bad", "ugly") for i in range(30)))
    dataset, config = _dataset(tmp_path, label={"kind": "label", "classes": ["bad", "good"]})

    with pytest.raises(DataError) as caught:
        kept(dataset, config)

    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines() == [
        "texts: 30 of 90 rows cannot be used; mend them; at most 5.00% may be dropped (data.checks.invalid):",
        "  data/ugly: expected a class of data.features.label.classes (bad, good), found 'ugly'; add it there, or take "
        "the folder out (30 rows)",
    ]


def test_a_file_that_cannot_be_read_is_a_problem_of_that_file_only(tmp_path):
    _texts(tmp_path / "data", "bad/1", "good/2", "good/3")

    records = classes.read(tmp_path / "data", "text")
    next(records)
    (tmp_path / "data" / "good" / "2").unlink()

    unusable, last = records
    assert str(unusable.problem).endswith("good/2: expected a file that can be read, found No such file or directory")
    assert last.cells["text"] == b"a text called good/3"


def test_a_text_in_another_encoding_is_reported_with_the_encoding(tmp_path):
    _texts(tmp_path / "data", "good/1", "bad/2")
    (tmp_path / "data" / "bad" / "2").write_bytes("Schön ist das nicht, und überall gibt es Ärger".encode("cp1252"))
    dataset, config = _dataset(tmp_path)

    unusable = [row for _, row in open_rows(dataset, config) if isinstance(row, BadRow)]

    assert str(unusable[0].problems[0]).endswith("bad/2:text: expected UTF-8 text, found what looks like CP1252")


def test_names_in_another_encoding_are_reported_with_escapes(tmp_path):
    _texts(tmp_path / "data", "good/1", "bad/2")
    (tmp_path / "data" / "bad" / os.fsdecode(b"caf\xe9")).write_bytes(b"\xff\xfe\xfd")
    dataset, config = _dataset(tmp_path)

    unusable = [row for _, row in open_rows(dataset, config) if isinstance(row, BadRow)]
    assert r"bad/caf\udce9:text: expected UTF-8 text" in str(unusable[0].problems[0])
    assert dataset.digest()

    (tmp_path / "data" / os.fsdecode(b"caf\xe9")).mkdir()
    assert r"data/caf\udce9: the name of the folder is not UTF-8, it looks like CP1252; rename" in _refusal(tmp_path)


@pytest.mark.parametrize(("block_bytes", "sizes"), [(1, [1, 1, 1, 1]), (7, [2, 2]), (2**20, [4])])
def test_blocks_hold_the_files_that_are_read_within_a_bound(tmp_path, block_bytes, sizes):
    _texts(tmp_path / "data", "bad/1.txt", "bad/2.txt", "good/1.txt", "good/2.txt")
    for path in (tmp_path / "data").glob("*/*"):
        path.write_text("text")
    records = list(classes.read(tmp_path / "data", "text"))

    blocks = list(classes.blocks(tmp_path / "data", "text", block_bytes))

    assert [len(block) for block in blocks] == sizes
    assert [name for block in blocks for name in block.names] == [record.where for record in records]
    assert [row for block in blocks for row in block.cells.to_pylist()] == [record.cells for record in records]


def test_a_block_of_files_names_those_that_cannot_be_used(tmp_path, monkeypatch):
    monkeypatch.setattr(classes, "MAX_BYTES", 2**20)
    _texts(tmp_path / "data", "bad/1.txt", "good/1.txt")
    (tmp_path / "data/good/1.txt").write_bytes(bytes(2**20 + 1))

    (block,) = classes.blocks(tmp_path / "data", "text")

    assert [str(problem).partition("good")[2] for problem in block.problems] == [
        "/1.txt: expected a file of at most 1 MiB, found 2 MiB"
    ]
    assert block.names == (str(tmp_path / "data/bad/1.txt"),)


def test_digits_at_the_end_of_a_name_are_not_a_row_number(tmp_path):
    names = [f"bad/{number}:12" for number in range(40)]  # empty files; 12 must not be taken for a row number
    _texts(tmp_path / "data", "bad/a.txt", "good/b.txt", *names)
    for name in names:
        (tmp_path / "data" / name).write_text("")
    dataset, _ = _dataset(tmp_path)

    (batch,) = dataset.sources["files"](None)

    assert len(batch.problems) == 40
    assert {problem.number for _, problems in batch.problems for problem in problems} == {0}
    assert {split for split, _ in batch.problems} == {"train", "validation", "test"}


def test_a_folder_matches_its_class_in_any_unicode_form(tmp_path):
    """macOS names folders in form D: no row of them could be used, though a CSV file with the same names was read."""
    names = ["caf\u00e9", "the\u0301"]
    for name in names:
        _texts(tmp_path / "data" / unicodedata.normalize("NFD", name), *(f"{number}.txt" for number in range(3)))
    _texts(tmp_path / "data" / "tea", "0.txt")

    dataset, config = _dataset(tmp_path, label={"kind": "label", "classes": names})
    rows = [row for _, row in open_rows(dataset, config)]

    assert sorted(row["label"] for row in rows if not isinstance(row, BadRow)) == [0, 0, 0, 1, 1, 1]
    assert [
        "a class of data.features.label.classes" in str(row.problems[0]) for row in rows if isinstance(row, BadRow)
    ] == [True]
