import os
import pty
import subprocess
import sys

from pipeline.core import screen as screens
from pipeline.core.screen import Screen, describe, redirected
from tests.conftest import ROOT
from tests.waiting import PATIENCE_S, until


def test_progress_is_described_in_a_few_words():
    assert (
        describe({"epoch": 2, "epochs": 5, "step": 10, "steps": 430, "loss": 0.31})
        == "epoch 2/5, step 10/430, loss 0.3100"
    )
    assert describe({"split": "train", "rows": 5000, "of": 54984}) == "rows 5,000/54,984, split train"
    assert describe({"rows": 5000}) == "rows 5,000"
    assert describe({"summary": "no anomalies"}) == "no anomalies"


def test_noise_written_to_the_file_descriptors_goes_to_the_log(tmp_path, capfd):
    screen = Screen()

    with redirected(tmp_path / "log"):
        os.write(1, b"from C++\n")
        os.write(2, b"a warning\n")
        screen.console.print("shown")
    screen.console.file.close()

    assert (tmp_path / "log").read_text() == "from C++\na warning\n"
    assert capfd.readouterr() == ("shown\n", "")


def test_each_stage_is_one_line_in_a_pipe(capfd):
    screen = Screen()

    with screen.stages():
        for stage, state in (("ingest", "done"), ("train", "cached"), ("evaluate", "failed")):
            screen.begin(stage)
            screen.update({"rows": 1, "of": 2})
            screen.end(state)
    screen.console.file.close()

    lines = capfd.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["✓", "ingest", "0.0", "s", "rows", "1/2"],
        ["✓", "train", "0.0", "s", "cached"],
        ["✗", "evaluate", "0.0", "s", "failed"],
    ]


def test_a_long_stage_in_a_pipe_prints_its_progress(tmp_path, monkeypatch):
    monkeypatch.setattr(screens, "EVERY_SECONDS", 0.01)
    with redirected(tmp_path / "out"):
        screen = Screen()  # prints to the standard output of its creation
    with screen.stages():
        screen.begin("train")
        screen.update({"epoch": 1, "epochs": 2})
        until(lambda: (tmp_path / "out").read_text().count("train") > 1)
        screen.end("done")
    screen.console.file.close()

    first, *_, last = (tmp_path / "out").read_text().splitlines()
    assert first.split()[:2] == ["…", "train"]
    assert first.endswith("epoch 1/2")
    assert last.split()[:2] == ["✓", "train"]


def test_names_are_printed_without_markup(capfd):
    screen = Screen()

    screen.say("photos/d:label:/1.png:image: [red]expected[/red]")
    screen.console.file.close()

    assert capfd.readouterr().out == "photos/d:label:/1.png:image: [red]expected[/red]\n"


ON_A_TERMINAL = """
import logging, os, sys, time
from pathlib import Path
from pipeline.core.screen import Screen, redirected
frames, running = [], Screen._running
Screen._running = lambda self: frames.append(1) or running(self)
screen = Screen()
with redirected(Path(sys.argv[1])), screen.stages():
    logging.basicConfig(level=logging.INFO, force=True)
    screen.begin("train")
    screen.update({"epoch": 1, "epochs": 2})
    before = len(frames)
    while len(frames) < before + 3:
        time.sleep(0.05)
    logging.info("noise from a logger")
    print("noise from print")
    os.write(2, b"noise from C++")
    screen.end("done")
"""


def test_a_terminal_shows_the_running_stage_live_and_no_noise(tmp_path):
    main, terminal = pty.openpty()
    command = [sys.executable, "-c", ON_A_TERMINAL, str(tmp_path / "log")]

    result = subprocess.run(
        command, stdout=terminal, stderr=terminal, cwd=ROOT, timeout=PATIENCE_S, env={**os.environ, "TERM": "xterm"}
    )
    os.close(terminal)
    output = os.read(main, 1 << 16).decode()
    os.close(main)

    assert result.returncode == 0, output
    assert "train" in output
    assert output.count("epoch 1/2") > 1  # redrawn while it ran
    assert "noise" not in output
    assert (tmp_path / "log").read_text().count("noise") == 3
