"""Fetches Debian and Ubuntu packages with apt, as any user, leaving the host's own apt state alone.

Standard library only: `bootstrap.py` uses it before anything is installed.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

RELEASE_FILE = Path("/etc/os-release")


class AptError(Exception):
    """apt is not installed, or failed; `output` is what apt printed."""

    def __init__(self, reason: str, output: str = ""):
        super().__init__(reason)
        self.output = output


def fetch(packages: list[str], into: Path, release: str | None = None) -> None:
    """Downloads packages and unpacks them below `into`.

    apt checks the signatures with the host's own keys. Its lists and cache go to a temporary folder, so neither root
    nor an earlier `apt-get update` is needed.

    Args:
        packages: Names of binary packages.
        into: Folder that gets the files, with their paths below `/`.
        release: Code name of another release of the host's distribution; the host's own by default.

    Raises:
        AptError: apt is not installed, the mirror cannot be reached, or there is no such package.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise AptError("this host has no apt")
    with tempfile.TemporaryDirectory(prefix="headrace-apt-") as scratch:
        folder = Path(scratch)
        for name in ("state/lists/partial", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True)
        (folder / "sources.list").write_text("\n".join(_sources(release)) + "\n")
        apt = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={folder}/sources.list", "-o", "Dir::Etc::SourceParts=-"]
        apt += ["-o", f"Dir::State={folder}/state", "-o", f"Dir::Cache={folder}/cache", "-o", "APT::Sandbox::User="]
        apt += ["-o", "Acquire::Languages=none", "-o", "APT::Update::Error-Mode=any"]
        _run([*apt, "update"])
        _run([*apt, "download", *packages], cwd=folder / "debs")
        into.mkdir(parents=True, exist_ok=True)
        for deb in sorted((folder / "debs").glob("*.deb")):
            _run(["dpkg-deb", "-x", str(deb), str(into)])


def distribution() -> str:
    """Returns the distribution's identifier, such as `debian` or `ubuntu`; empty where it is unknown."""
    return _os_release().get("ID", "")


def _os_release() -> dict[str, str]:
    text = RELEASE_FILE.read_text() if RELEASE_FILE.exists() else ""
    return dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))


def _sources(release: str | None) -> list[str]:
    """Returns sources.list lines for the mirrors of the host's own release, as apt itself reads its configuration."""
    codename = _os_release().get("VERSION_CODENAME", "")
    keyring = Path(f"/usr/share/keyrings/{distribution()}-archive-keyring.gpg")
    # Where that file is absent apt falls back on its trusted.gpg.d.
    options = f"[signed-by={keyring}] " if keyring.exists() else ""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages"]
    targets = [line.split("|") for line in _run(command).splitlines()]
    lines = [
        f"deb {options}{uri} {release or release_name} {component}"
        for release_name, component, uri in targets
        if release_name == codename
    ]
    if not lines:
        raise AptError(f"apt has no source for this host's release {codename!r}")
    return sorted(set(lines))


def _run(command: list[str], cwd: Path | None = None) -> str:
    process = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if process.returncode:
        errors = [line[3:] for line in process.stdout.splitlines() if line.startswith("E: ")]
        reason = errors[0] if errors else f"{command[0]} ended with {process.returncode}"
        raise AptError(reason.rstrip("."), process.stdout)
    return process.stdout
