"""A run file that names files: a folder of pictures becomes a published model, and bad or other data is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.core.files import user_umask
from tests.conftest import headrace

pytestmark = pytest.mark.e2e

RUN_FILE = """
task: image_classification
data:
  files: photos
  features: {image: {kind: image, height: 8, width: 8, channels: 1}}
  checks: {duplicates: {policy: drop}}
model: {filters: [16]}
train: {epochs: 2, tensorboard: {images: false, histogram_freq: 0}}
"""

KINDS = (".png", ".jpg", ".tif", ".webp", ".jpg")
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Where 600 scans of digits lie as pictures of many kinds, a folder a digit, and a model of them is published."""
    folder, digits, exif = tmp_path_factory.mktemp("scans"), load_digits(), Image.Exif()
    for index in range(600):
        path = folder / "photos" / f"digit {digits.target[index]}" / f"{index}{KINDS[index % 5]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.round(digits.images[index] * (255 / 16)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((16 + index % 9, 16), Image.Resampling.NEAREST)
        if path.suffix == ".jpg":  # lies on its side, and says so
            exif[ORIENTATION] = 6
            picture.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)
        else:
            picture.save(path)
    (folder / "scans.yaml").write_text(RUN_FILE)
    done = headrace("run", "scans.yaml", "--json", cwd=folder)
    assert done.code == 0, done.out + done.err
    return folder


def test_a_folder_of_pictures_becomes_a_model_that_names_its_folders(home):
    done = headrace("predict", "scans.yaml", "photos/digit 0/0.png", "--json", cwd=home)

    assert done.code == 0, done.err
    (prediction,) = json.loads(done.out)
    assert {top["class"] for top in prediction["top"]} <= {f"digit {digit}" for digit in range(10)}
    assert len(list((home / "serving" / "scans").glob("[0-9]*"))) == 1


def test_the_server_was_asked_about_files_as_they_came(home):
    from components.example_gen import read_originals
    from data.spec import DatasetSpec, ImageFeature, LabelFeature

    features = {"image": ImageFeature(height=8, width=8, channels=1), "label": LabelFeature()}
    spec = DatasetSpec(name="scans", title="", licence="", features=features)
    (originals,) = (home / "runs" / "scans").rglob("picture_files.tfrecord")
    (report,) = (home / "runs" / "scans" / "reports").glob("*.html")

    files = [original["image"] for _, original in read_originals(str(originals.parent), spec)]

    on_disk = {path.read_bytes() for path in (home / "photos").rglob("*.*")}
    assert {bytes(file[:2]) for file in files} == {b"\x89P", b"\xff\xd8"}
    assert set(files) <= on_disk
    assert f"and {len(files)} original files" in report.read_text()


def test_an_image_that_is_cut_off_stops_the_run_with_its_name_and_tells_no_secret(home):
    (home / "s3cr3t").symlink_to(home)
    (home / "hidden.yaml").write_text(RUN_FILE.replace("photos", "${ENV:SCANS_KEY}/photos"))
    path = home / "photos" / "digit 0" / "0.png"
    content = path.read_bytes()
    path.write_bytes(content[:60])
    try:
        done = headrace("run", "hidden.yaml", cwd=home, SCANS_KEY="s3cr3t")
    finally:
        path.write_bytes(content)

    assert done.code == 3
    message = "/photos/digit 0/0.png:image: expected a whole image, found a damaged PNG of 60 bytes"
    assert f"${{ENV:SCANS_KEY}}{message}" in done.out
    assert "✓ ingest" not in done.out
    assert len(done.out.splitlines()) <= 10
    files = [path for path in (home / "runs" / "hidden").rglob("*") if path.is_file()]
    assert {"metadata.db"} <= {path.name for path in files}
    assert not [path for path in files if b"s3cr3t" in path.read_bytes()]


def test_what_a_run_writes_is_not_for_everybody(home):
    """A server of another user may read the model, though not the page, which shows rows."""
    written = [path for top in ("runs", "tensorboard") for path in (home / top / "scans").rglob("*")]
    pages = list((home / "serving" / "scans").rglob("report.html"))
    model = next((home / "serving" / "scans").rglob("saved_model.pb"))

    assert len(written) > 50
    assert len(pages) == 1
    assert not [path for path in [*written, *pages] if path.stat().st_mode & 0o027]
    assert model.stat().st_mode & 0o777 == 0o666 & ~user_umask()


def test_what_is_planted_where_a_run_is_started_is_not_executed(home):
    planted = f"open({str(home / 'executed')!r}, 'w')"
    names = ["numpy", "keras", "yaml", "sitecustomize", "usercustomize", "pipeline_plugin"]
    for folder in (home, home / "photos"):
        for name in names:
            (folder / f"{name}.py").write_text(planted)
    (home / "planted.yaml").write_text(f"task: !!python/object/apply:os.system ['touch {home}/executed']")
    try:
        good = headrace("run", "scans.yaml", cwd=home)
        bad = headrace("run", "planted.yaml", cwd=home)
    finally:
        for folder in (home, home / "photos"):
            for name in names:
                (folder / f"{name}.py").unlink()

    assert good.code == 0, good.err
    assert bad.code == 2
    assert bad.err.startswith("headrace: planted.yaml:1: not valid YAML: could not determine a constructor")
    assert not (home / "executed").exists()


@pytest.fixture
def swapped(home):
    """The pictures of two digits, each in the folder of the other."""
    photos = home / "photos"

    def swap() -> None:
        (photos / "digit 0").rename(photos / "x")
        (photos / "digit 1").rename(photos / "digit 0")
        (photos / "x").rename(photos / "digit 1")

    swap()
    yield
    swap()


@pytest.mark.usefixtures("swapped")
def test_swapped_folders_stop_the_run(home):
    refused = headrace("run", "scans.yaml", cwd=home)

    assert refused.code == 3
    assert "classes look swapped: rows of digit 0 like digit 1, digit 1 like digit 0" in refused.out
    assert "✓ train" not in refused.out


@pytest.mark.long
@pytest.mark.usefixtures("swapped")
def test_swapped_folders_that_were_accepted_stop_no_run(home):
    accepted = headrace("run", "scans.yaml", "--set", "data.checks.drift.policy=warn", cwd=home)
    again = headrace("run", "scans.yaml", cwd=home)

    assert accepted.code == 0, accepted.out
    assert re.search(
        r"drift from the data of the live version \d+ \(run \S+\): label: classes look swapped", accepted.out
    )
    assert again.code == 0, again.out
    assert "drift from" not in again.out


def test_a_column_that_is_not_there_is_told_before_any_work(home):
    (home / "rows.csv").write_text("img,label\nphotos/x.png,a\n")
    (home / "table.yaml").write_text(
        RUN_FILE.replace("files: photos", "files: rows.csv").replace(
            "channels: 1}", "channels: 1}, label: {kind: label, classes: [a, b]}"
        )
    )

    done = headrace("run", "table.yaml", cwd=home)

    assert done.code == 3
    assert done.err == (
        "headrace: rows.csv:1: column image is missing (there is 'img'); column 'img' is not among data.features; "
        "mend the file, or data.features and data.ignore.\n"
    )
    assert not (home / "runs" / "table").exists()
