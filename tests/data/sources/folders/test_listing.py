"""Listings of folders of classes: without hidden files, links followed, each folder once."""

import os

import pytest

from data.sources.folders.listing import listing, split_folders


def _files(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def _names(folder_listing) -> list[str]:
    return [str(path.relative_to(folder_listing.folder)) for path in folder_listing.files]


def test_hidden_files_and_folders_are_left_out_at_any_depth_and_counted(tmp_path):
    _files(tmp_path, "cat/1.png", "cat/deep/2.png", "dog/3.png")
    _files(tmp_path, ".git/x", "cat/.ipynb_checkpoints/1-checkpoint.png", "cat/deep/__MACOSX/cat/1.png", "@eaDir/1.png")
    _files(tmp_path, ".DS_Store", "cat/._1.png", "dog/Thumbs.db")

    result = listing(tmp_path)

    assert result.classes == ("cat", "dog")
    assert _names(result) == ["cat/1.png", "cat/deep/2.png", "dog/3.png"]
    assert (result.hidden_folders, result.hidden_files) == (4, 3)


def test_links_to_folders_and_files_are_followed_at_any_depth_and_counted(tmp_path):
    pets, elsewhere = tmp_path / "pets", tmp_path / "elsewhere"
    _files(pets, "cat/1.png", "cat/deep/2.png")
    _files(elsewhere, "dogs/3.png", "more/4.png", "more/below/5.png", "6.png")
    (pets / "dog").symlink_to(elsewhere / "dogs")
    (pets / "cat" / "deep" / "more").symlink_to(os.path.relpath(elsewhere / "more", pets / "cat" / "deep"))
    (pets / "cat" / "6.png").symlink_to(elsewhere / "6.png")
    (pets / "cat" / "gone.png").symlink_to(elsewhere / "gone.png")
    (pets / "cat" / "itself.png").symlink_to("itself.png")
    (pets / "cat" / "through.png").symlink_to("1.png/2.png")

    result = listing(pets)

    assert _names(result) == [
        "cat/1.png", "cat/6.png", "cat/deep/2.png", "cat/deep/more/4.png", "cat/deep/more/below/5.png", "dog/3.png",
    ]  # fmt: skip
    assert [result.class_of(path) for path in result.files] == ["cat"] * 5 + ["dog"]
    assert (result.linked_folders, result.linked_files, result.broken) == (2, 1, 3)


def test_links_in_a_circle_end_and_each_folder_is_listed_once(tmp_path):
    pets = tmp_path / "pets"
    _files(pets, "cat/1.png", "dog/2.png")
    (pets / "cat" / "all").symlink_to(pets)
    (pets / "cat" / "above").symlink_to(tmp_path)
    (pets / "cat" / "dogs").symlink_to(pets / "dog")
    (pets / "dog" / "cats").symlink_to(pets / "cat")

    result = listing(pets)

    assert _names(result) == ["cat/1.png", "dog/2.png"]
    assert (result.linked_folders, len(result.repeats)) == (0, 4)


def test_files_outside_of_class_folders_have_no_class(tmp_path):
    _files(tmp_path, "README.txt", "cat/1.png", "dog/2.png")

    assert [path.name for path in listing(tmp_path).beside] == ["README.txt"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["Train", "VAL", "test", ".git"], {"train": ["Train"], "validation": ["VAL"], "test": ["test"]}),
        (["training", "dev", "valid", "testing"], {
            "train": ["training"], "validation": ["dev", "valid"], "test": ["testing"]}),
        (["train", "bus", "ship"], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_folders_are_splits_where_all_have_names_of_splits(tmp_path, names, splits):
    _files(tmp_path, *(f"{name}/x" for name in names))

    folders_by_split = split_folders(tmp_path)

    assert {split: [path.name for path in paths] for split, paths in folders_by_split.items()} == splits


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train/cat", "train/dog", "test/cat", "test/dog", "extra/cat"], ["test", "train"]),
        (["train/cat", "train/dog", "test/cat", "unlabeled"], ["test", "train"]),
        (["train/1997", "test/2004", "bus/1997"], []),
        (["train/cat", "train/dog", "extra/cat", "extra/dog"], []),
    ],
)
def test_folders_with_common_classes_are_splits_among_other_folders(tmp_path, names, splits):
    _files(tmp_path, *(f"{name}/x" for name in names))

    assert sorted(split_folders(tmp_path)) == splits
