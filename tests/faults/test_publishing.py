"""The publisher fails at each of its file operations in turn, while a reader loads the newest version."""

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

# Python calls an audit hook before each open, mkdir, rename, chmod and removal.
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
    """Reads the newest version again and again, as TF Serving does when it polls, and checks that it is complete."""

    def __init__(self, destination: Path):
        self._destination, self._ended = destination, threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.errors: list[str] = []
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
                    self.errors.append(f"{version} has another digest than its manifest")
            except Exception as error:
                if folder.exists():  # an old version may be retired while it is read
                    self.errors.append(f"{version}: {error}")
            self.reads += 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["die", str(errno.ENOSPC), str(errno.EIO)])
def test_readers_see_complete_versions_only(tmp_path, kind):
    destination = tmp_path / "serving"
    for number in range(2):
        publish(_model(tmp_path / f"old{number}", f"old {number} "), destination, {"evaluation": {}}, keep=2)
    with Reader(destination) as reader:
        operation, has_succeeded = 0, False
        while not has_succeeded:
            operation += 1
            model = _model(tmp_path / f"new{operation}", f"new {operation} ")
            process = _publish(model, destination, operation, kind)
            has_succeeded = process.returncode == 0 and int(process.stdout) < operation
            published = [read_manifest(destination / str(version))["digest"] for version in versions(destination)]

            assert versions(destination), "the served version is gone"
            assert process.returncode == (9 if kind == "die" else 1) or has_succeeded or process.stdout, process.stderr
            assert len(published) == len(set(published))
            # The next publication removes what a failed one left, and succeeds.
            version = publish(model, destination, {"evaluation": {}}, keep=2)
            assert last_version(destination) == version
            assert read_manifest(destination / str(version))["digest"] == model_digest(model)
            assert len(versions(destination)) <= 2
            assert not list(destination.glob(".staging-*"))

    assert reader.errors == []
    assert reader.reads > operation
    assert operation > 20  # it failed at each operation


def test_a_full_disk_keeps_the_served_version(tmp_path):
    """A real full disk: a file system of 1 MiB in memory."""
    disk = tmp_path / "disk"
    with small_disk(disk, "1m"):
        first = publish(_model(tmp_path / "small", "small"), disk / "serving", {"evaluation": {}})
        with pytest.raises(OSError, match="No space left"):
            publish(_model(tmp_path / "large", "x" * 2000), disk / "serving", {"evaluation": {}})

        assert versions(disk / "serving") == [first]
        assert not list((disk / "serving").glob(".staging-*"))
