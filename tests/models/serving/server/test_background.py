import threading

from models.serving.server import background
from models.serving.server.background import BackgroundWriter


def test_no_caller_waits_for_a_hanging_disk_and_writes_beyond_the_limit_are_dropped(monkeypatch, caplog):
    monkeypatch.setattr(background, "MAX_BYTES", 10)
    writer, go_on, written = BackgroundWriter("lines"), threading.Event(), []
    writer.submit(4, go_on.wait)

    writer.submit(6, lambda: written.append("fits"))
    writer.submit(1, lambda: written.append("does not"))
    go_on.set()
    writer.flush()
    writer.submit(1, lambda: written.append("fits again"))
    writer.flush()

    assert written == ["fits", "fits again"]
    assert caplog.text.count("lines are not written (the disk is too slow: the queue is full)") == 1


def test_a_failed_write_is_logged_once_and_the_next_one_runs(caplog):
    writer, written = BackgroundWriter("lines"), []

    def fail():
        raise OSError("disk full")

    for _ in range(3):
        writer.submit(1, fail)
    writer.submit(1, lambda: written.append(1))
    writer.flush()

    assert written == [1]
    assert caplog.text.count("lines are not written (disk full)") == 1
