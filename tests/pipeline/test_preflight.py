import subprocess

import pytest

from data.errors import ConfigError
from pipeline import config, preflight
from pipeline.places import Places


def test_digits_fits_on_this_machine(tmp_path):
    places = Places.of(tmp_path, "digits")
    places.runs.mkdir(parents=True)

    preflight.check(config.load("digits"), places)


def test_a_row_is_its_pixels_and_its_label():
    assert preflight.row_bytes(config.load("fashion_mnist")) == 28 * 28 + 8 + 64


def test_a_batch_that_memory_cannot_hold_is_refused(tmp_path, monkeypatch):
    places = Places.of(tmp_path, "fashion_mnist")
    places.runs.mkdir(parents=True)
    named = config.load("fashion_mnist", ["train.batch_size=54984"])
    needed = 54984 * (784 + 72) * 4 * 200 / 2**20  # 35.9 GiB
    if preflight.psutil.virtual_memory().available / 2**20 > needed:
        pytest.skip("this machine has the memory")

    with pytest.raises(
        ConfigError, match=r"train.batch_size: a step of 54,984 examples needs about 35,9\d\d MiB of memory"
    ):
        preflight.check(named, places)


def test_a_full_disk_is_told_before_any_work(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        places = Places.of(disk, "digits")
        places.runs.mkdir(parents=True)

        with pytest.raises(
            ConfigError, match=r"runs/digits has 1 MiB free, a run of digits needs about 100; free some"
        ):
            preflight.check(config.load("digits"), places)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
