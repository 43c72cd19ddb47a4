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


def _on_a_terminal(code: str, *arguments, **variables: str) -> str:
    """Runs Python code on a terminal, and returns what it shows."""
    main, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=terminal,
        stderr=terminal,
        cwd=ROOT,
        timeout=PATIENCE_S,
        env={**environment, **variables},
    )
    os.close(terminal)
    output = os.read(main, 1 << 16).decode()
    os.close(main)
    assert result.returncode == 0, output
    return output


def test_a_terminal_shows_the_running_stage_live_and_no_noise(tmp_path):
    output = _on_a_terminal(ON_A_TERMINAL, tmp_path / "log", TERM="xterm")

    assert "train" in output
    assert output.count("epoch 1/2") > 1  # redrawn while it ran
    assert "noise" not in output
    assert (tmp_path / "log").read_text().count("noise") == 3


ENDED_STAGES = """
from pipeline.core.screen import Screen
screen = Screen()
with screen.stages():
    for state in ("done", "failed"):
        screen.begin("train")
        screen.end(state)
screen.say("Published", "green")
"""


def test_marks_and_verdict_have_colors_on_a_terminal():
    output = _on_a_terminal(ENDED_STAGES, TERM="xterm")

    assert "\x1b[32m✓\x1b[0m train" in output
    assert "\x1b[31m✗\x1b[0m train" in output
    assert "\x1b[32mPublished\x1b[0m" in output


def test_a_dumb_terminal_gets_no_escape_codes_and_no_color_leaves_the_colors_out():
    assert "\x1b" not in _on_a_terminal(ENDED_STAGES, TERM="dumb")
    without_colors = _on_a_terminal(ENDED_STAGES, TERM="xterm", NO_COLOR="1")
    assert "✓ train" in without_colors
    assert "\x1b[3" not in without_colors  # colors are 30 to 37
