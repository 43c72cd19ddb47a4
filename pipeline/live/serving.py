"""Serves published models. Loads no TensorFlow: the server is a process of its own."""

import contextlib
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from data import atomic
from data.errors import ConfigError, ServingError
from models.serving.rollout import deploy, rollouts
from models.serving.rollout.canary import ENOUGH, Figures, breach
from models.serving.rollout.versions import last_version, read_manifest, versions
from models.serving.server.process import OURS, ServerProcess, choose, listens
from pipeline.core import config
from pipeline.core.files import private_files
from pipeline.core.paths import PipelinePaths

SERVERS = ".servers"
COMBINED = "models.config"
POLL_SECONDS = 1
DEPLOY = "deploy"


@dataclass(frozen=True)
class Running:
    """A server that `headrace serve` started and that still runs.

    Attributes:
        pid: Its process.
        grpc: `host:port` of the gRPC API.
        rest: URL of the REST API.
        models: Names of the pipelines.
    """

    pid: int
    grpc: str
    rest: str
    models: list[str]


def destinations(home: Path, pipelines: Sequence[str]) -> dict[str, Path]:
    """Returns the folder of each pipeline's versions, of all that have one when none is named.

    Raises:
        ConfigError: One has no published version, or none has.
    """
    serving = home.resolve() / "serving"
    names = [config.find(one).stem if "/" in one or one.endswith((".yaml", ".yml")) else one for one in pipelines]
    if not names:
        names = sorted(path.name for path in serving.iterdir() if versions(path)) if serving.is_dir() else []
        if not names:
            raise ConfigError(f"Nothing is published in {serving}; run a pipeline first: headrace run digits")
    found = {name: serving / name for name in names}
    for name, folder in found.items():
        if not versions(folder):
            there = [path.name for path in serving.iterdir() if versions(path)] if serving.is_dir() else []
            hint = f" Published are: {', '.join(sorted(there))}." if there else ""
            raise ConfigError(f"Pipeline {name} has no published version; run `headrace run {name}` first.{hint}")
    return found


def running(home: Path, pipeline: str) -> Running | None:
    """Returns a server of a pipeline that runs on this home, the one started last; None when there is none."""
    states = (home.resolve() / "serving" / SERVERS).glob("*.json")
    for state in sorted(states, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            found = Running(**json.loads(state.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        host, _, port = found.rest.rpartition("/")[2].rpartition(":")
        if not psutil.pid_exists(found.pid) or not listens(host, int(port)):
            state.unlink(missing_ok=True)  # it was killed
        elif pipeline in found.models:
            return found
    return None


def _sampling(home: Path, found: dict[str, Path]) -> list[str]:
    """Returns the flag that has requests sampled as the newest versions' run files say; none where they say no."""
    settings = {}
    for name, folder in found.items():
        sample = read_manifest(folder / str(last_version(folder))).get("sample", {})
        if sample.get("rate"):
            settings[name] = {**sample, "folder": str(PipelinePaths.of(home, name).samples)}
    if not settings:
        return []
    file = home.resolve() / "serving" / "sampling.json"
    atomic.write(file, json.dumps(settings))  # another server of this home may be starting
    return [f"--sample_config_file={file}"]


def serve(
    home: Path,
    pipelines: Sequence[str],
    *,
    engine: str,
    host: str,
    port: int,
    rest_port: int,
    flags: Sequence[str],
    ready: Callable[[Running, ServerProcess], None],
    judged: Callable[[str, int, str, str], None],
) -> int:
    """Serves pipelines until a signal comes, and returns the server's exit code.

    Args:
        home: Folder of `serving/`.
        pipelines: Names; none: all that have a published version.
        engine: `auto`, `embedded`, `binary` or `docker`.
        host: Address to listen on.
        port, rest_port: Of the two APIs; 0: free ones.
        flags: More flags of TF Serving, such as `--enable_batching`.
        ready: Called once the server answers.
        judged: Called with pipeline, version, `taken back` or `promoted`, and the reason, when a canary's trial ends;
            with `not` before it when the disk does not take that.

    Raises:
        ConfigError: A pipeline has no version, a port is taken, or a flag is the embedded server's.
        ServingError: The server does not start, or ends by itself.
    """
    found, chosen = destinations(home, pipelines), choose(engine)
    own = [flag.partition("=")[0] for flag in flags if flag.startswith(OURS) and flag != "--input_guard=false"]
    if own and chosen != "embedded":
        raise ConfigError(
            f"{', '.join(own)}: TensorFlow Serving, which is here, has no such flag; add --engine embedded."
        )
    for option, number in (("--port", port), ("--rest-port", rest_port)):
        if number and listens(host, number):
            raise ConfigError(f"{option} {number}: another server listens there; choose another, or 0 for a free one.")
    serving = home.resolve() / "serving"
    with private_files(), _config_file(serving, found) as path:
        atomic.write(serving / "monitoring.config", deploy.MONITORING)
        server = ServerProcess(
            [
                f"--model_config_file={path}",
                f"--model_config_file_poll_wait_seconds={POLL_SECONDS}",
                "--allow_version_labels_for_unavailable_models=true",
                f"--monitoring_config_file={serving / 'monitoring.config'}",
                *_sampling(home, found),
                *flags,
            ],
            serving / "server.log",
            chosen,
            port,
            rest_port,
            host,
            [serving],
            ends_with_us=True,
        )
        # No threading.Event: a signal within its wait() would wait for the lock that this very thread holds.
        stop: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: stop.append(number))
        server.start()
        told: set[tuple[str, int, str, str]] = set()
        state = serving / SERVERS / f"{os.getpid()}.json"
        state.parent.mkdir(exist_ok=True)
        try:
            _wait(server, stop)
            if not stop:
                here = Running(os.getpid(), f"{host}:{server.port}", f"http://{host}:{server.rest_port}", list(found))
                atomic.write(state, json.dumps(asdict(here)))
                ready(here, server)
            while not stop:
                time.sleep(POLL_SECONDS / 4)
                if server.process is not None and server.process.poll() is not None:
                    raise ServingError(f"The model server ended by itself: {server.last_words()}")
                for verdict in _judge(found, here.rest):
                    if verdict not in told:  # one that cannot be carried out comes again
                        told.add(verdict)
                        judged(*verdict)
        finally:
            state.unlink(missing_ok=True)
            code = server.stop()
    return 0 if code in (0, -signal.SIGTERM, 128 + signal.SIGTERM) else code or 0


def _judge(found: Mapping[str, Path], url: str) -> list[tuple[str, int, str, str]]:
    """Takes canaries back that do not load, or whose requests, whoever sent them, left the budget; promotes good ones.

    TF Serving does not count by version: under it our client judges, and `headrace canary --watch`.

    Returns:
        Pipeline, version, `taken back` or `promoted`, and the reason, of each.
    """
    trials: dict[str, tuple[rollouts.Canary, int | None]] = {}
    for name, folder in found.items():
        with contextlib.suppress(ConfigError, OSError):  # told where somebody asks for the file
            now = rollouts.read(folder)
            if now.canary:
                trials[name] = now.canary, now.stable
    if not trials:
        return []
    counted = _get(f"{url}/monitoring/versions") or {}
    ended = []
    for name, (trial, stable) in trials.items():
        figures = {int(number): Figures(**one) for number, one in counted.get(name, {}).items()}
        seen = figures.get(trial.version, Figures())
        reason = breach(trial, seen, figures.get(stable, Figures()))
        status = _get(f"{url}/v1/models/{name}/versions/{trial.version}") or {}
        for one in status.get("model_version_status", ()):
            if one["state"] == "END" and one["status"]["error_code"] != "OK":
                reason = f"it does not load: {one['status']['error_message']}"
        change, verdict = rollouts.take_back, "taken back"
        if reason is None:
            due = trial.promote_after_s is not None and time.time() - trial.since > trial.promote_after_s
            if not due or seen.requests < ENOUGH:
                continue
            reason = f"{seen.errors} of the last {seen.requests} requests failed, p95 {seen.p95_ms:.1f} ms"
            change, verdict = rollouts.promote_canary, "promoted"
        try:
            if change(found[name], trial.version, reason):
                ended.append((name, trial.version, verdict, reason))
        except OSError as error:  # a full disk must not end what serves
            ended.append((name, trial.version, f"not {verdict}", f"{error.strerror} ({found[name]})"))
    return ended


def _get(url: str) -> dict[str, Any] | None:
    """Returns the JSON at an address of the server; None where there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError):
        pass
    return None


def _wait(server: ServerProcess, stop: Sequence[int]) -> None:
    """Waits for the server without a limit: a large model may take minutes, and Ctrl-C ends it."""
    while not stop:
        try:
            return server.wait(1)
        except ServingError:
            if server.process is None or server.process.poll() is not None:
                raise


@contextlib.contextmanager
def _config_file(serving: Path, found: dict[str, Path]) -> Iterator[Path]:
    """Yields the model config file: the pipeline's own, or one of several that is kept up to date."""
    own = {name: rollouts.ensure(folder) for name, folder in found.items()}
    if len(own) == 1:
        yield next(iter(own.values()))
        return
    path, done = serving / f".{COMBINED}.{os.getpid()}", threading.Event()

    def combine() -> None:
        text = rollouts.config_list({name: rollouts.read(folder) for name, folder in found.items()}, serving)
        if not path.exists() or path.read_text() != text:
            atomic.write(path, text)

    def follow() -> None:
        while not done.wait(POLL_SECONDS):
            with contextlib.suppress(ConfigError, OSError):
                combine()

    combine()
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        done.set()
        thread.join()
        path.unlink(missing_ok=True)


def write_deployment(home: Path, pipelines: Sequence[str], into: Path | None) -> list[Path]:
    """Writes what TF Serving elsewhere needs, and returns the files."""
    found = destinations(home, pipelines)
    serving = home.resolve() / "serving"
    folder = into or serving / DEPLOY
    folder.mkdir(parents=True, exist_ok=True)
    states = {name: rollouts.read(path) for name, path in found.items()}
    written = []
    for name, text in deploy.files(states, serving).items():
        (folder / name).write_text(text)
        written.append(folder / name)
    return written


def ask(
    url: str,
    model: str,
    signature: str,
    key: str,
    batches: Iterable[Sequence[bytes]],
    version: int | None,
    label: str = "",
) -> tuple[list[dict[str, Any]], int]:
    """Returns what a running server's REST API says about each content of all batches, and the version that answered.

    Raises:
        ServingError: It is not there, or refuses; in its own words.
    """
    import base64

    choice = f"/versions/{version}" if version is not None else f"/labels/{label}" if label else ""
    # One output comes without its name: it is looked up.
    metadata = _http(f"{url}/v1/models/{model}{choice}/metadata", model)
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    outputs = sorted(signatures[signature]["outputs"])
    rows: list[dict[str, Any]] = []
    for contents in batches:
        encoded = [{"b64": base64.b64encode(one).decode()} for one in contents]
        body = {"signature_name": signature, "inputs": {key: encoded}}
        answer = _http(f"{url}/v1/models/{model}{choice}:predict", model, json.dumps(body).encode())["outputs"]
        named = answer if len(outputs) > 1 else {outputs[0]: answer}
        rows += [{name: values[row] for name, values in named.items()} for row in range(len(contents))]
    return rows, int(metadata["model_spec"]["version"])


def _http(url: str, model: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError):
            text = json.loads(text)["error"]
        raise ServingError(f"The server at {url} says {error.code}: {text}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServingError(f"No model server answers at {url} ({reason}); start one: headrace serve {model}") from None
