"""The publisher fails at every one of its operations in turn, while a reader keeps taking the newest version."""

import errno
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.serving.rollout.versions import last_version, model_digest, publish, read_manifest, versions
from tests.conftest import ROOT
from tests.mounts import small_disk
from tests.waiting import PATIENCE_S

# Publishes argv[1] to argv[2]; at the argv[3]-th operation on the destination it fails with the error argv[4], or dies.
PUBLISH = """
import os, sys
from pathlib import Path
from models.serving.rollout.versions import publish

model, destination, at, kind = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
count = 0

def operation():
    global count
    count += 1
    if count == at:
        if kind == "die":
            os._exit(9)
        raise OSError(int(kind), os.strerror(int(kind)), "planted")

# Python tells an audit hook of each open, mkdir, rename, chmod and removal before it is done.
def hook(event, arguments):
    if event in ("open", "os.mkdir", "os.rename", "os.chmod", "os.remove", "os.rmdir"):
        writes = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and str(arguments[0]).startswith(destination):
            operation()

fsync = os.fsync
def flushed(descriptor):
    operation()
    fsync(descriptor)
os.fsync = flushed
sys.addaudithook(hook)
version = publish(model, Path(destination), {"evaluation": {}}, keep=2)
print(count)
"""


def _model(folder: Path, content: str) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text(content * 1000)
    return folder


def _publish(model: Path, destination: Path, at: int, kind: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PUBLISH, str(model), str(destination), str(at), kind]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)


class Reader:
    """Takes the newest version over and over, as TF Serving's poller does, and checks that it is whole."""

    def __init__(self, destination: Path):
        self._destination, self._ended = destination, threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.wrong: list[str] = []
        self.reads = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._ended.is_set():
            version = last_version(self._destination)
            if version is None:
                continue
            folder = self._destination / str(version)
            try:
                if model_digest(folder) != read_manifest(folder)["digest"]:
                    self.wrong.append(f"{version} is not what its manifest says")
            except Exception as error:
                if folder.exists():  # an old version may be retired while it is read
                    self.wrong.append(f"{version}: {error}")
            self.reads += 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["die", str(errno.ENOSPC), str(errno.EIO)])
def test_readers_only_ever_see_whole_versions(tmp_path, kind):
    destination = tmp_path / "serving"
    for number in range(2):
        publish(_model(tmp_path / f"old{number}", f"old {number} "), destination, {"evaluation": {}}, keep=2)
    with Reader(destination) as reader:
        at, finished = 0, False
        while not finished:
            at += 1
            model = _model(tmp_path / f"new{at}", f"new {at} ")
            done = _publish(model, destination, at, kind)
            finished = done.returncode == 0 and int(done.stdout) < at
            published = [read_manifest(destination / str(version))["digest"] for version in versions(destination)]

            assert versions(destination), "what was served is gone"
            assert done.returncode == (9 if kind == "die" else 1) or finished or done.stdout, done.stderr
            assert len(published) == len(set(published))
            # The next publication cleans up and goes through, whatever was left.
            version = publish(model, destination, {"evaluation": {}}, keep=2)
            assert last_version(destination) == version
            assert read_manifest(destination / str(version))["digest"] == model_digest(model)
            assert len(versions(destination)) <= 2
            assert not list(destination.glob(".staging-*"))

    assert reader.wrong == []
    assert reader.reads > at
    assert at > 20  # it did fail at each of them


def test_a_disk_that_is_full_leaves_what_is_served(tmp_path):
    """A real full disk: a file system of 1 MiB in memory."""
    disk = tmp_path / "disk"
    with small_disk(disk, "1m"):
        first = publish(_model(tmp_path / "small", "small"), disk / "serving", {"evaluation": {}})
        with pytest.raises(OSError, match="No space left"):
            publish(_model(tmp_path / "large", "x" * 2000), disk / "serving", {"evaluation": {}})

        assert versions(disk / "serving") == [first]
        assert not list((disk / "serving").glob(".staging-*"))
