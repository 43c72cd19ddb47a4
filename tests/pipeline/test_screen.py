import os

from pipeline.screen import Screen, describe, redirected


def test_progress_is_told_in_a_few_words():
    assert (
        describe({"epoch": 2, "epochs": 5, "step": 10, "steps": 430, "loss": 0.31})
        == "epoch 2/5, step 10/430, loss 0.3100"
    )
    assert describe({"split": "train", "rows": 5000, "of": 54984}) == "rows 5,000/54,984, split train"
    assert describe({"summary": "no anomalies"}) == "no anomalies"


def test_noise_written_to_the_file_descriptors_goes_to_the_log(tmp_path, capfd):
    screen = Screen()

    with redirected(tmp_path / "log"):
        os.write(1, b"from C++\n")
        os.write(2, b"a warning\n")
        screen.console.print("seen")
    screen.console.file.close()

    assert (tmp_path / "log").read_text() == "from C++\na warning\n"
    assert capfd.readouterr() == ("seen\n", "")


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
