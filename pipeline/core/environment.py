"""Cleans the environment of this process before any heavy import; child processes inherit it.

Variables that a person has set for other programs must neither change what a model computes nor end a run. The
preflight and `headrace doctor` name, in one line, variables that are ignored and variables that may change results.
"""

import codecs
import contextlib
import json
import locale
import os
import pwd
import re
import shutil
import sys
from collections.abc import Collection, MutableMapping
from pathlib import Path

Variables = MutableMapping[str, str]

# Findings about the original variables, one a line, for child processes that inherit the changed ones.
NOTES = "HEADRACE_ENVIRONMENT_NOTES"
UNUSED = {
    "KERAS_BACKEND": "models are trained and served by TensorFlow",
    "KERAS_NNX_ENABLED": "it is of Keras on JAX",
    "KERAS_MAX_EPOCHS": "train.epochs says how many",
    "KERAS_MAX_STEPS_PER_EPOCH": "an epoch is all training rows",
    "TF_USE_LEGACY_KERAS": "models are Keras 3",
    "TF2_BEHAVIOR": "models need TensorFlow 2",
    "TF_FUNCTION_JIT_COMPILE_DEFAULT": "XLA compiles no texts",
    "TF_XLA_FLAGS": "XLA compiles no texts, and a flag that it does not know ends the process",
    "MPLBACKEND": "plots are drawn without a screen",
}
# Prefixes of TensorFlow's variables; not TF_ alone, with which Terraform's variables begin, too.
CHANGE_RESULTS = (
    "TF_ENABLE_", "TF_DISABLE_", "TF_DETERMINISTIC_OPS", "TF_CUDNN_", "TF_CUBLAS", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_OVERRIDE_GLOBAL_THREADPOOL", "TF_USE_", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_", "DNNL_",
)  # fmt: skip
KERAS_DEFAULTS = {"backend": "tensorflow", "floatx": "float32", "image_data_format": "channels_last", "epsilon": 1e-07}
USER_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # read by getpass
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
ASCII_REPLACEMENTS = {"✓": "+", "✗": "x", "±": "+-", "…": "..."}


def clean() -> None:
    """Cleans the environment of this process; restarts the interpreter if it has read a changed variable already."""
    needs_restart = clean_variables(os.environ)
    if needs_restart and not sys.flags.ignore_environment:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    replace_unencodable_output()


def notes() -> list[str]:
    """Returns a note for each variable that is ignored, or that may change results."""
    return [line for line in os.environ.get(NOTES, "").splitlines() if line]


def line() -> str:
    """Returns all notes in one line; empty if there are none."""
    return "; ".join(notes())


def program() -> str:
    """Returns the command to type for Headrace; after `make setup` it is not on the path."""
    command = sys.argv[0]
    return command if Path(command).name == "headrace" and not shutil.which("headrace") else "headrace"


def typed(text: str, verbs: Collection[str]) -> str:
    """Returns a text whose commands, such as `headrace run digits`, begin with `program()`."""
    return re.sub(rf"(?<![\w./-])headrace(?= ({'|'.join(verbs)})\b)", lambda _: program(), text)


def clean_variables(variables: Variables) -> bool:
    """Changes environment variables; returns whether the interpreter has to be restarted to apply them."""
    notes = [f"{name}={variables.pop(name)} is not used: {why}" for name, why in UNUSED.items() if name in variables]
    passed_on = [f"{name}={value}" for name, value in variables.items() if name.startswith(CHANGE_RESULTS)]
    notes += [f"TensorFlow heeds {', '.join(sorted(passed_on))}: results may differ"] if passed_on else []
    notes += _set_user(variables)
    bypass_proxies(variables)
    needs_restart = [_unset_optimization(variables), _unset_warning_errors(variables), _set_encoding(variables)]
    _add_notes(variables, notes)
    return any(needs_restart)


def _set_user(variables: Variables) -> list[str]:
    """Sets user name and HOME if missing, also for a user id without an entry in passwd, as in containers."""
    try:
        entry = pwd.getpwuid(os.getuid())
        name, home = entry.pw_name, entry.pw_dir
    except KeyError:
        name, home = str(os.getuid()), ""
    if not any(variables.get(variable) for variable in USER_VARIABLES):
        variables["USER"] = name
    if variables.get("HOME"):
        return []
    import tempfile  # slower to import than the rest of this module

    variables["HOME"] = home or str(Path(tempfile.gettempdir()) / f"headrace-{name}")
    return [] if home else [f"HOME is not set: caches go to {variables['HOME']}"]


def isolate_keras(variables: Variables) -> None:
    """Sets KERAS_HOME to a folder of ours, so that Keras has its default settings."""
    import platformdirs  # a tenth of the time of `headrace --help`, which loads no Keras

    usual_file = Path(variables.get("KERAS_HOME") or Path(variables["HOME"]) / ".keras") / "keras.json"
    folder = Path(platformdirs.user_cache_dir("headrace")) / "keras"
    variables["KERAS_HOME"] = str(folder)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        settings = json.loads(usual_file.read_text(encoding="utf-8"))
        changed = [name for name, value in KERAS_DEFAULTS.items() if settings.get(name, value) != value]
        if changed and usual_file.parent != folder:
            _add_notes(variables, [f"{usual_file} is not used ({', '.join(changed)}): the run file says all of it"])


def _add_notes(variables: Variables, notes: list[str]) -> None:
    if notes:
        variables[NOTES] = "\n".join(dict.fromkeys([*variables.get(NOTES, "").splitlines(), *notes]))


def bypass_proxies(variables: Variables) -> None:
    """Excludes this machine from the proxies of HTTP and gRPC; other addresses follow the variables as set."""
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host.strip() for host in variables.get(name, "").split(",") if host.strip()]
        if name in variables and hosts != ["*"]:
            variables[name] = ",".join(dict.fromkeys([*hosts, *LOCAL_HOSTS]))
    if "no_proxy" not in variables and "NO_PROXY" not in variables:
        variables["no_proxy"] = ",".join(LOCAL_HOSTS)


def _unset_optimization(variables: Variables) -> bool:
    """Unsets PYTHONOPTIMIZE, since TFX, Beam and click need docstrings and asserts; returns whether it was set."""
    return variables.pop("PYTHONOPTIMIZE", "") not in ("", "0")


def _unset_warning_errors(variables: Variables) -> bool:
    """Removes `error` from PYTHONWARNINGS, which ends a run at a deprecated call; returns whether it was there."""
    filters = variables.get("PYTHONWARNINGS", "")
    kept = [entry for entry in filters.split(",") if not _is_error(entry)]
    if ",".join(kept) == filters:
        return False
    variables["PYTHONWARNINGS"] = ",".join(kept)
    return True


def _is_error(entry: str) -> bool:
    action = entry.partition(":")[0].strip()
    return bool(action) and "error".startswith(action)  # Python accepts the first letters of an action


def _set_encoding(variables: Variables) -> bool:
    """Sets UTF-8 for files and keeps the terminal's encoding for output; returns whether a variable changed."""
    if sys.flags.utf8_mode or _is_utf8(locale.getpreferredencoding(False)):
        return False
    variables.setdefault("PYTHONIOENCODING", locale.getpreferredencoding(False))
    variables["PYTHONUTF8"] = "1"
    return True


def replace_unencodable_output() -> None:
    """Makes standard output and error replace characters that the terminal's encoding lacks by ASCII."""
    codecs.register_error("headrace_ascii", _replace_by_ascii)
    for stream in (sys.stdout, sys.stderr):
        if not _is_utf8(getattr(stream, "encoding", None) or "utf-8") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="headrace_ascii")
            # For child processes, which do not have our error handler.
            os.environ["PYTHONIOENCODING"] = f"{stream.encoding}:replace"


def _replace_by_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(ASCII_REPLACEMENTS.get(character, "?") for character in characters), error.end


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False
