import errno
import os
import resource
import tempfile
from pathlib import Path

import pytest

from data import secrets
from pipeline.core.files import hidden_secrets, private_files, refused_write, temporary_files, user_umask
from pipeline.core.paths import PipelinePaths


def test_new_files_are_private(tmp_path):
    before = os.umask(0o022)
    try:
        with private_files():
            (tmp_path / "file").touch()
            (tmp_path / "folder").mkdir()
            with private_files():
                within = user_umask()
        (tmp_path / "after").touch()
    finally:
        os.umask(before)

    assert within == 0o022
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "after").stat().st_mode & 0o777 == 0o644


def test_temporary_files_are_in_the_pipelines_folder_and_are_removed(tmp_path, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    paths, before = PipelinePaths.of(tmp_path, "digits"), tempfile.gettempdir()
    (paths.temporary / "of a killed run").mkdir(parents=True)

    with temporary_files(paths.temporary):
        remaining = list(paths.temporary.iterdir())
        folder = Path(tempfile.mkdtemp())
        variable = os.environ["TMPDIR"]

    assert remaining == []
    assert folder.parent == paths.temporary
    assert variable == str(paths.temporary)
    assert not paths.temporary.exists()
    assert tempfile.gettempdir() == before
    assert "TMPDIR" not in os.environ


def test_a_log_keeps_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_TEST_SECRET", "sesame-98765")
    secrets.resolve("${ENV:HEADRACE_TEST_SECRET}")
    log = tmp_path / "a.log"

    with hidden_secrets(log):
        log.write_bytes(b"key sesame-98765 \xff refused")

    assert log.read_bytes() == b"key ${ENV:HEADRACE_TEST_SECRET} \xff refused"


def test_a_full_disk_is_reported_with_its_remedy(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.keras")

    assert str(refused_write(full, "train")) == (
        "Stage train could not write model.keras (No space left on device); free space on that disk, or choose another "
        "home with --home or HEADRACE_HOME."
    )
    assert refused_write(FileNotFoundError(errno.ENOENT, "No such file"), "train") is None
    assert refused_write(ValueError("No space left on device"), "train") is None


@pytest.mark.slow  # loads TensorFlow
def test_a_file_that_tensorflow_may_not_write_is_reported_without_the_name_of_its_error(tmp_path):
    import tensorflow as tf

    file, (soft, hard) = tmp_path / "data-00000.tfrecord", resource.getrlimit(resource.RLIMIT_FSIZE)

    def write() -> None:
        with tf.io.TFRecordWriter(str(file)) as writer:
            for _ in range(1000):
                writer.write(bytes(1000))

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(tf.errors.OpError) as raised:
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(refused_write(raised.value, "ingest")).startswith(
        f"Stage ingest could not write {file} (File too large); raise the limit on the size of files (ulimit -f"
    )
