"""Fetches data in packages of Debian, PyPI and npm, and keeps the data sets that are built from it."""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from data.errors import SourceUnavailable
from data.files import atomic
from data.files.checksums import verify
from data.sources import debian


def kept_folder(name: str) -> Path:
    """Returns the folder of a named data set in the user's cache."""
    return Path(platformdirs.user_cache_dir("headrace")) / "datasets" / name


def keep(folder: Path, make: Callable[[Path], None]) -> None:
    """Creates `folder` atomically, with the files that `make` writes into it, unless it exists."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(folder) as staging:
        staging.mkdir()
        make(staging)


def fetch_debian(name: str, into: Path) -> None:
    """Unpacks a Debian package into `into`, with its paths below `/`; raises SourceUnavailable."""
    try:
        debian.fetch([name], into)
    except debian.AptError as error:
        raise SourceUnavailable(f"package {name} could not be fetched ({error}).") from error


def fetch_pypi(name: str, version: str, sha256: str, into: Path, *, wheel: bool = False) -> None:
    """Unpacks a source package of PyPI, or a wheel, below `into`; raises SourceUnavailable where pip cannot get it."""
    with tempfile.TemporaryDirectory() as scratch:
        # With its hash, so that pip does not open another archive.
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary" if wheel else "--no-binary", name]
        _run([*command, "--require-hashes", "--dest", scratch, "--requirement", str(requirements)], name)
        if wheel:
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as file:
                file.extractall(into)
            return
        _unpack(next(Path(scratch).glob("*.tar.gz")), into)


def fetch_npm(name: str, version: str, sha256: str, into: Path) -> None:
    """Unpacks a package of npm below `into`; raises SourceUnavailable where npm is not installed or cannot get it."""
    with tempfile.TemporaryDirectory() as scratch:
        _run(["npm", "pack", "--silent", f"{name}@{version}", "--pack-destination", scratch], name)
        archive = next(Path(scratch).glob("*.tgz"))
        verify(archive.parent, {archive.name: sha256}, fix="the registry has another archive; report it")
        _unpack(archive, into)


def _run(command: list[str], name: str) -> None:
    try:
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        raise SourceUnavailable(f"package {name} needs {command[0]}, which is not on this machine.") from None
    if process.returncode:
        reason = next((line for line in reversed(process.stderr.splitlines()) if line.strip()), "no reason given")
        raise SourceUnavailable(f"package {name} could not be fetched ({reason[:160]}).")


def _unpack(archive: Path, into: Path) -> None:
    # Python before 3.11.4, such as Debian 12's, has no filters; what the archive holds is pinned by its hash.
    filters = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as file:
        file.extractall(into, **filters)
