"""The environment of this process, put right before anything heavy is imported; what it starts inherits it.

What a person has set for other programs must not change what a model computes, nor end a run. What is not used, and
what is used and may change results, is named in one line by the preflight and by `headrace doctor`.
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

# What was found out before variables were changed, for processes that inherit them: lines, and a break between two.
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
# Of TensorFlow, by their beginnings: Terraform's variables begin with TF_ too.
CHANGE_RESULTS = (
    "TF_ENABLE_", "TF_DISABLE_", "TF_DETERMINISTIC_OPS", "TF_CUDNN_", "TF_CUBLAS", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_OVERRIDE_GLOBAL_THREADPOOL", "TF_USE_", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_", "DNNL_",
)  # fmt: skip
KERAS_DEFAULTS = {"backend": "tensorflow", "floatx": "float32", "image_data_format": "channels_last", "epsilon": 1e-07}
NAMES_OF_USER = ("LOGNAME", "USER", "LNAME", "USERNAME")  # where getpass looks
LOCAL = ("localhost", "127.0.0.1", "::1")
PLAIN = {"✓": "+", "✗": "x", "±": "+-", "…": "..."}


def put_right() -> None:
    """Changes the environment of this process; starts it anew where the interpreter itself has read it already."""
    anew = put_variables_right(os.environ)
    if anew and not sys.flags.ignore_environment:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    plain_output()


def notes() -> list[str]:
    """Returns what was set and is not used, or is used and may change results, a few words each."""
    return [line for line in os.environ.get(NOTES, "").splitlines() if line]


def line() -> str:
    """Returns all notes in one line; empty where there are none."""
    return "; ".join(notes())


def program() -> str:
    """Returns what a person types to call Headrace from here: after `make setup` it is not on the path."""
    called = sys.argv[0]
    return called if Path(called).name == "headrace" and not shutil.which("headrace") else "headrace"


def typed(text: str, verbs: Collection[str]) -> str:
    """Returns a sentence whose commands, such as `headrace run digits`, are as a person types them from here."""
    return re.sub(rf"(?<![\w./-])headrace(?= ({'|'.join(verbs)})\b)", lambda _: program(), text)


def put_variables_right(variables: Variables) -> bool:
    """Changes environment variables; returns whether only a new interpreter heeds all of them."""
    found = [f"{name}={variables.pop(name)} is not used: {why}" for name, why in UNUSED.items() if name in variables]
    passed_on = [f"{name}={value}" for name, value in variables.items() if name.startswith(CHANGE_RESULTS)]
    found += [f"TensorFlow heeds {', '.join(sorted(passed_on))}: results may differ"] if passed_on else []
    found += _put_user_right(variables)
    bypass_proxies(variables)
    anew = [_put_optimization_right(variables), _put_warnings_right(variables), _put_encoding_right(variables)]
    _note(variables, found)
    return any(anew)


def _put_user_right(variables: Variables) -> list[str]:
    """Gives a user id without an entry in passwd, as containers have, a name and a home; HOME its usual value."""
    try:
        entry = pwd.getpwuid(os.getuid())
        name, home = entry.pw_name, entry.pw_dir
    except KeyError:
        name, home = str(os.getuid()), ""
    if not any(variables.get(one) for one in NAMES_OF_USER):
        variables["USER"] = name
    if variables.get("HOME"):
        return []
    import tempfile  # takes longer to load than all else here

    variables["HOME"] = home or str(Path(tempfile.gettempdir()) / f"headrace-{name}")
    return [] if home else [f"HOME is not set: caches go to {variables['HOME']}"]


def put_keras_right(variables: Variables) -> None:
    """Has Keras read its settings from a folder of ours, where nobody changes its defaults."""
    import platformdirs  # a tenth of the time of `headrace --help`, which loads no Keras

    usual = Path(variables.get("KERAS_HOME") or Path(variables["HOME"]) / ".keras") / "keras.json"
    ours = Path(platformdirs.user_cache_dir("headrace")) / "keras"
    variables["KERAS_HOME"] = str(ours)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        settings = json.loads(usual.read_text(encoding="utf-8"))
        other = [name for name, value in KERAS_DEFAULTS.items() if settings.get(name, value) != value]
        if other and usual.parent != ours:
            _note(variables, [f"{usual} is not used ({', '.join(other)}): the run file says all of it"])


def _note(variables: Variables, found: list[str]) -> None:
    if found:
        variables[NOTES] = "\n".join(dict.fromkeys([*variables.get(NOTES, "").splitlines(), *found]))


def bypass_proxies(variables: Variables) -> None:
    """Has HTTP and gRPC go to this machine without a proxy; other addresses obey the variables as they are."""
    for name in ("no_proxy", "NO_PROXY"):
        listed = [one.strip() for one in variables.get(name, "").split(",") if one.strip()]
        if name in variables and listed != ["*"]:
            variables[name] = ",".join(dict.fromkeys([*listed, *LOCAL]))
    if "no_proxy" not in variables and "NO_PROXY" not in variables:
        variables["no_proxy"] = ",".join(LOCAL)


def _put_optimization_right(variables: Variables) -> bool:
    """Python without docstrings and asserts is not what TFX, Beam and click are written for."""
    return variables.pop("PYTHONOPTIMIZE", "") not in ("", "0")


def _put_warnings_right(variables: Variables) -> bool:
    """Warnings as errors end a run at the first deprecated call in a library; other filters stay."""
    given = variables.get("PYTHONWARNINGS", "")
    kept = [one for one in given.split(",") if not _is_error(one)]
    if ",".join(kept) == given:
        return False
    variables["PYTHONWARNINGS"] = ",".join(kept)
    return True


def _is_error(entry: str) -> bool:
    action = entry.partition(":")[0].strip()
    return bool(action) and "error".startswith(action)  # Python takes an action's first letters for it


def _put_encoding_right(variables: Variables) -> bool:
    """Has Python read and write files as UTF-8 whatever the locale; what it prints is in the terminal's encoding."""
    if sys.flags.utf8_mode or _is_utf8(locale.getpreferredencoding(False)):
        return False
    variables.setdefault("PYTHONIOENCODING", locale.getpreferredencoding(False))
    variables["PYTHONUTF8"] = "1"
    return True


def plain_output() -> None:
    """Has standard output and error show a sign that the terminal's encoding lacks as ASCII, instead of failing."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if not _is_utf8(getattr(stream, "encoding", None) or "utf-8") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")
            # Of what is started from here, also of Python programs that do not know of our signs.
            os.environ["PYTHONIOENCODING"] = f"{stream.encoding}:replace"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in signs), error.end


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False
