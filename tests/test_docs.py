"""Documents agree with the code: references are generated, links lead to files, shell blocks run."""

import contextlib
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.serving.deployment.process import free_port
from pipeline.commands.cli import cli
from tests.conftest import ROOT, inherited
from tests.waiting import PATIENCE_S

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
# In the order in which they run: each uses the files of those before it.
SCRIPTS = ["README.md", "docs/data.md", "docs/pages.md", "docs/scheduling.md", "docs/serving.md"]
OF_THE_CLONE = ("make ",)  # these commands set up and test the clone itself

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^]]*\]\(([^)#]+)[^)]*\)")


def blocks(page: Path, language: str) -> list[str]:
    """Returns the code blocks of a page in a language."""
    return [text for name, text in _BLOCK.findall(page.read_text()) if name == language]


@pytest.mark.parametrize("name", ["run-file.md", "command-line.md"])
def test_references_are_generated_from_the_code(name):
    pages = runpy.run_path(str(DOCS / "write_reference.py"))["pages"]()

    assert (DOCS / name).read_text() == pages[name], "run `.venv/bin/python docs/write_reference.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = [link for link in _LINK.findall(page.read_text()) if not link.startswith(("http://", "https://"))]

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_name_their_language_and_commands_that_exist(page):
    assert blocks(page, "") == []
    lines = [line for block in blocks(page, "sh") + blocks(page, "text") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line, comments=True) if line.startswith("headrace ") else []
        if words[1:] and words[1] in cli.commands:
            options = {option for parameter in cli.commands[words[1]].params for option in parameter.opts}
            used = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
            assert used <= options | _subcommand_options(words)
        else:
            assert not words or words[1].isupper() or words[1].startswith("-"), line


def _subcommand_options(words: list[str]) -> set[str]:
    """Returns the options of a command below another, such as `schedule add`."""
    subcommand = getattr(cli.commands[words[1]], "commands", {}).get(words[2] if words[2:] else "")
    return {option for parameter in subcommand.params for option in parameter.opts} if subcommand else set()


def test_shell_blocks_of_every_page_are_run():
    assert [str(page.relative_to(ROOT)) for page in PAGES if blocks(page, "sh") and page.name != "CONTRIBUTING.md"] == [
        *SCRIPTS
    ]


@pytest.mark.e2e
def test_shell_blocks_run(digits_run, tmp_path):
    _write_user_files(tmp_path)
    shutil.copytree(digits_run.home, tmp_path, dirs_exist_ok=True)
    ports = {number: str(free_port()) for number in ("8500", "8501")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name in SCRIPTS:
        for block in blocks(ROOT / name, "sh"):
            for number, free in ports.items():
                block = block.replace(number, free)
            lines = [line for line in block.splitlines() if not line.startswith(OF_THE_CLONE)]
            _run("\n".join(["set -eu -o pipefail", *lines]), tmp_path, {**inherited(), "PATH": path}, name)


def _run(script: str, folder: Path, env: dict[str, str], name: str) -> None:
    """Runs a script in its own process group, which is terminated at the end with all that the script started."""
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == 0, f"{name}:\n{script}\n{out}"


def _write_user_files(folder: Path) -> None:
    """Writes the files of a user: a table of customers, and a picture of a digit."""
    random = np.random.default_rng(0)
    rows = ["age,plan,spent,churned"]
    for _ in range(600):
        age, spent = random.integers(18, 90), random.gamma(2.0, 50.0)
        churned = "yes" if random.random() < 1 / (1 + np.exp((age - 50) / 10)) else "no"
        rows.append(f"{age},{random.choice(['basic', 'plus', 'team'])},{spent:.2f},{churned}")
    (folder / "customers.csv").write_text("\n".join(rows) + "\n")
    Image.fromarray(random.integers(0, 255, (32, 32), dtype=np.uint8)).save(folder / "digit.png")
