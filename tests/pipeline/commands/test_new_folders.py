"""`headrace new` on folders: layouts that are read or refused, and files that are left out."""

import pytest
from PIL import Image

from data.errors import ConfigError, DataError
from pipeline.commands import new
from pipeline.commands.drafting import writing
from pipeline.core import config
from tests.conftest import headrace
from tests.data.keeping import kept as kept_rows


def _texts(folder, *names: str, count: int = 30) -> None:
    """Writes `count` different texts into each of these folders."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i}.txt").write_text(f"the text {i} of {name}")


def _pictures(folder, *names: str, count: int = 30) -> None:
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("L", (4, 4), 30 * k + i).save(folder / name / f"{i}.png")


def _draft(folder):
    """Returns the settings of the data, the sentences about it, and the number of rows of each split in a run."""
    draft = new.draft(folder)
    path = folder.parent / "mine.yaml"
    path.write_text(writing.text(draft, "mine", folder.parent), encoding="utf-8")
    named = config.load(str(path))
    rows, _ = kept_rows(named.dataset, named.config.data)
    sentences = [sentence.replace(f"{folder.parent}/", "") for sentence in (*draft.notes, *draft.unsure)]
    return named.config.data, sentences, {split: len(split_rows) for split, split_rows in rows.items()}


def test_folders_of_splits_become_splits_and_their_classes_are_compared(tmp_path):
    pets = tmp_path / "pets"
    _texts(pets, "Train/cat", "Train/dog", "Train/unsup", "val/cat", "val/dog", "test/cat", "test/dog")
    _texts(pets, "test/cow", count=2)
    (pets / "Train" / "urls.csv").write_text("x")

    data, sentences, num_rows = _draft(pets)

    assert data.files == {"train": "pets/Train", "validation": "pets/val", "test": "pets/test"}
    assert data.features["label"].classes == ("cat", "dog", "unsup")
    assert sentences == [
        "train: cat 30, dog 30, unsup 30",
        "validation: cat 30, dog 30",
        "test: cat 30, dog 30, cow 2",
        "1 file beside the class folders is not read (urls.csv)",
        "split test has folders that are no classes of the training files, cow: their 2 files cannot be used; remove "
        "them there, or add such files to train",
        "2 of 212 files cannot be used (first: pets/test/cow: expected a class of data.features.label.classes (cat, "
        "dog, unsup), found 'cow'; add it there, or take the folder out (2 rows)): left out; mend or remove them",
    ]
    assert num_rows == {"train": 90, "validation": 60, "test": 60}


def test_without_a_validation_folder_a_tenth_of_train_is_used(tmp_path):
    _pictures(tmp_path / "pets", "train/cat", "train/dog")
    _pictures(tmp_path / "pets", "test/cat", "test/dog", count=5)
    (tmp_path / "pets" / "test" / "cat" / "0.png").unlink()

    data, sentences, num_rows = _draft(tmp_path / "pets")

    assert data.files == {"train": "pets/train", "test": "pets/test"}
    assert sentences[0] == "no folder of split validation: a tenth of the training files is cut off for it"
    assert num_rows["validation"] > 1


def test_a_split_folder_without_class_folders_is_left_out(tmp_path):
    _texts(tmp_path / "pets", "train/cat", "train/dog")
    _texts(tmp_path / "pets", "test", count=3)

    data, sentences, _ = _draft(tmp_path / "pets")

    assert data.files == "pets/train"
    assert (
        "pets/test has no folders of classes, and its 3 files have no label: left out; move them into such as "
        in (sentences[-1])
    )


def test_folders_beside_splits_are_left_out(tmp_path):
    _texts(tmp_path / "pets", "train/cat", "train/dog", "test/cat", "test/dog", "unlabeled")
    _texts(tmp_path / "pets", "extra/cat", count=1)

    data, sentences, num_rows = _draft(tmp_path / "pets")

    assert data.files == {"train": "pets/train", "test": "pets/test"}
    assert sentences[-2:] == [
        f"pets/{name} is left out with its {files}: it lies beside the splits test and train; to use it, add it to the "
        "folders of a split in data.files, if it holds the same classes"
        for name, files in (("extra", "1 file"), ("unlabeled", "30 files"))
    ]
    assert sum(num_rows.values()) == 120


def test_a_single_folder_above_the_class_folders_is_descended_into(tmp_path):
    _pictures(tmp_path / "pets", "images/cat", "images/dog")
    (tmp_path / "pets" / "README.txt").write_text("about pets")

    data, sentences, _ = _draft(tmp_path / "pets")

    assert data.files == "pets/images"
    assert sentences[1] == "1 file beside the class folders is not read (README.txt)"
    assert sentences[2].startswith("pets has one folder, images: the folders in that are taken for the classes; ")


def test_similar_names_of_class_folders_are_called_unsure(tmp_path):
    _texts(tmp_path / "pets", "Cat", "cat", "caf\u00e9", "cafe\u0301", "dog", count=30)

    _, sentences, _ = _draft(tmp_path / "pets")

    similar = [sentence for sentence in sentences if "differ in case" in sentence]
    assert [sentence.partition(" differ")[0] for sentence in similar] == [
        "the names of the class folders Cat and cat",
        "the names of the class folders cafe\u0301 and caf\u00e9",
    ]
    assert similar[0].endswith("they are 2 classes; if they are one, move the files into one of the folders")


def test_hidden_and_linked_entries_are_counted(tmp_path):
    _texts(tmp_path / "pets", "cat", "dog", ".git", "cat/.ipynb_checkpoints", "dog/__MACOSX")
    _texts(tmp_path / "elsewhere", "more")
    (tmp_path / "pets" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "pets" / "dog" / "gone.txt").symlink_to(tmp_path / "nowhere")

    _, sentences, num_rows = _draft(tmp_path / "pets")

    assert sentences == [
        "cat 60, dog 30",
        "3 hidden folders left out, 1 linked folder followed, 1 broken link left out",
    ]
    assert sum(num_rows.values()) == 90


def test_invalid_texts_and_duplicates_are_counted_and_dropped(tmp_path):
    _texts(tmp_path / "news", "sport", "politics")
    (tmp_path / "news" / "sport" / "0.txt").write_bytes("Der Käse für die Jugend, schön".encode("cp1252"))
    (tmp_path / "news" / "sport" / "notes.csv").write_text("a stray table")
    (tmp_path / "news" / "politics" / "empty.txt").write_text("")
    for i in range(5):
        (tmp_path / "news" / "politics" / f"again{i}.txt").write_text("the same")

    data, sentences, num_rows = _draft(tmp_path / "news")

    assert data.checks.invalid.policy == data.checks.duplicates.policy == "drop"
    assert sentences[1] == (
        "2 of 67 files cannot be used (1 empty; first: news/politics/empty.txt:text: "
        "expected text, found an empty text): left out; mend or remove them"
    )
    assert sentences[2].startswith(
        "1 file has another ending, .csv (first: news/sport/notes.csv): read like the others; "
    )
    assert len(sentences) == 3
    assert sum(num_rows.values()) == 61


def test_equal_files_in_two_classes_are_dropped_only_if_they_are_few(tmp_path):
    _texts(tmp_path / "news", "sport", "politics")
    for i in range(9):
        for name in ("sport", "politics"):
            (tmp_path / "news" / name / f"{i}.txt").write_text(f"both {i}")

    draft = new.draft(tmp_path / "news")

    contradiction = (
        "9 of 60 files have another class than an equal file (first: news/sport/{0}.txt (sport) equals "
        "news/politics/{0}.txt (politics)): remove the one of the two that is in the wrong folder; a run stops as it is"
    )
    assert draft.unsure[0].replace(f"{tmp_path}/", "") in [contradiction.format(number) for number in range(9)]
    assert "checks" not in draft.data

    _texts(tmp_path / "news", "opera", count=900)

    draft = new.draft(tmp_path / "news")

    assert draft.unsure[0].startswith("9 of 960 files have another class")
    assert draft.data["checks"] == {"duplicates": {"policy": "drop"}}


def test_invalid_images_are_counted_and_dropped(tmp_path):
    _pictures(tmp_path / "pets", "cat", "dog")
    (tmp_path / "pets" / "cat" / "notes.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "pets" / "dog" / "0.png").write_bytes(b"")

    data, sentences, num_rows = _draft(tmp_path / "pets")

    assert data.checks.invalid.policy == "drop"
    assert sentences[1].startswith("1 of 60 files cannot be used (1 empty; first: ")
    assert sum(num_rows.values()) == 59


def test_files_of_other_kinds_beside_images_are_counted_and_left_out(tmp_path):
    """As in a collection of stamps: each image has a text, a sound and an outline beside it."""
    _pictures(tmp_path / "stamps", "cat", "dog")
    for i in range(30):
        (tmp_path / "stamps" / "cat" / f"{i}.txt").write_text(f"Cat number {i}")
        (tmp_path / "stamps" / "cat" / f"{i}.ogg").write_bytes(b"OggS")
        (tmp_path / "stamps" / "dog" / f"{i}.svg").write_text("<svg/>")

    _, sentences, num_rows = _draft(tmp_path / "stamps")

    assert sum(num_rows.values()) == 60
    assert "there are 60 images and 30 texts: taken for image_classification; give --task " in " ".join(sentences)
    dataset = config.load(str(tmp_path / "mine.yaml")).dataset
    assert dataset.notes() == ["90 files left out: by the ending no image (30 .ogg, 30 .txt, 30 .svg)"]


def test_the_options_task_and_label_of_a_folder_are_used_or_refused(tmp_path):
    _pictures(tmp_path / "pets", "cat", "dog")
    for name in ("cat", "dog"):
        for i in range(30):
            (tmp_path / "pets" / name / f"{i}.txt").write_text(f"{name} number {i}")

    assert new.draft(tmp_path / "pets", "text_classification").task == "text_classification"
    with pytest.raises(ConfigError, match="expected --task image_classification or text_classification, found"):
        new.draft(tmp_path / "pets", "tabular_regression")
    with pytest.raises(ConfigError, match="leave out --label breed"):
        new.draft(tmp_path / "pets", label="breed")


def test_no_policy_is_suggested_if_many_files_are_invalid(tmp_path):
    _pictures(tmp_path / "pets", "cat", "dog", count=10)
    for i in range(5):
        (tmp_path / "pets" / "cat" / f"{i}.png").write_bytes(b"damaged")

    draft = new.draft(tmp_path / "pets")

    assert "invalid" not in draft.data.get("checks", {})
    assert draft.unsure[0].endswith("a run will stop; mend or remove them")


def test_an_image_in_two_splits_is_dropped_from_training(tmp_path):
    _pictures(tmp_path / "pets", "train/cat", "train/dog")
    _pictures(tmp_path / "pets", "test/cat", "test/dog", count=2)

    data, _, num_rows = _draft(tmp_path / "pets")

    assert data.checks.leakage.policy == "drop"
    assert num_rows["test"] == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat.0.jpg", "dog.1.jpg"], r"has 2 files \(.jpg\) and no folders; it needs one for each class"),
        (["part-0.csv", "part-1.csv"], r"name tables by a pattern in data.files, such as .*/\*.csv"),
        (["cat/1.png"], "has one class, cat: nothing can be learned from it"),
        (["cat/1.parquet", "dog/2.parquet"], r"expected images .* found 2 .parquet \(first"),
        (["val/cat/1.txt", "test/cat/1.txt"], "found the splits val, test and nothing to train on"),
        (["train/1.txt", "test/1.txt"], r"names of splits \(test, train\) and no folders of classes in them"),
    ],
)
def test_another_layout_is_refused_in_one_sentence(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    with pytest.raises((ConfigError, DataError), match=message):
        new.draft(tmp_path)


def test_images_of_other_formats_have_the_size_after_their_exif_orientation(tmp_path):
    pets, exif = tmp_path / "pets", Image.Exif()
    exif[0x0112] = 6  # lies on its side
    for k, name in enumerate(("cat", "dog")):
        (pets / name).mkdir(parents=True)
        for i in range(60):
            ending = ("webp", "tif", "jfif")[i % 3]
            picture = Image.new("L", (16, 8), 60 * k + i)
            picture.paste(255, (0, 0, i % 9, 4))
            picture.save(pets / name / f"{i}.{ending}", exif=exif, **({"lossless": True} if ending == "webp" else {}))

    data, sentences, num_rows = _draft(pets)

    image = data.features["image"]
    assert (image.height, image.width, sum(num_rows.values())) == (16, 8, 120)
    assert not [sentence for sentence in sentences if "cannot be used" in sentence or "ending" in sentence]


def test_images_without_an_ending_are_recognised(tmp_path):
    _pictures(tmp_path / "pets", "cat", "dog", count=5)
    for path in tmp_path.glob("pets/*/*.png"):
        path.rename(path.with_suffix(""))

    assert new.draft(tmp_path / "pets").task == "image_classification"


def test_duplicates_are_counted_once_and_explained_in_the_run_file(tmp_path):
    _texts(tmp_path / "pets", "cat", "dog")
    for i in range(5):
        (tmp_path / "pets" / "cat" / f"again{i}.txt").write_text("the same")

    result = headrace("new", "mine", "--data", "pets", cwd=tmp_path)

    assert result.code == 0, result.err
    assert len([line for line in result.out.splitlines() if "duplicates" in line]) == 1
    assert "  # files that equal another one are left out; set data.checks.duplicates.policy to warn to keep them" in (
        tmp_path / "mine.yaml"
    ).read_text(encoding="utf-8")
    assert result.err.splitlines() == ["reading pets"]


def test_a_few_texts_among_images_do_not_make_the_task_unsure(tmp_path):
    _pictures(tmp_path / "pets", "cat", "dog")
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("About cats")

    draft = new.draft(tmp_path / "pets")

    assert draft.task == "image_classification"
    assert not draft.unsure


def test_the_command_prints_the_notes(tmp_path):
    _texts(tmp_path / "pets", "cat", "dog", "cat/.cache")

    result = headrace("new", "mine", "--data", "pets", cwd=tmp_path)

    assert result.code == 0, result.err
    assert "\n  cat 30, dog 30\n  1 hidden folder left out\n" in result.out


def test_control_characters_in_names_of_folders_are_escaped(tmp_path):
    _texts(tmp_path / "pets", "cat\x1b[31m", "dog\u202e")

    result = headrace("new", "mine", "--data", "pets", cwd=tmp_path)

    assert result.code == 0, result.err
    assert r"cat\x1b[31m 30, dog\u202e 30" in result.out
    assert not {"\x1b", "\u202e"} & {*result.out, *result.err}
