"""Serves published models, and says what is live. Loads no TensorFlow: the server is a process of its own."""

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

from data import whole
from data.errors import ConfigError, ServingError
from models.serving import deploy, rollout
from models.serving.canary import ENOUGH, Figures, breach
from models.serving.process import OURS, ServerProcess, choose, listens
from models.serving.versions import last_version, read_manifest, versions
from pipeline import config
from pipeline.places import Places
from pipeline.recovery import private_files
from pipeline.screen import redirected

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
            settings[name] = {**sample, "folder": str(Places.of(home, name).samples)}
    if not settings:
        return []
    file = home.resolve() / "serving" / "sampling.json"
    file.write_text(json.dumps(settings))
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
        (serving / "monitoring.config").write_text(deploy.MONITORING)
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
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        server.start()
        told: set[tuple[str, int, str, str]] = set()
        state = serving / SERVERS / f"{os.getpid()}.json"
        state.parent.mkdir(exist_ok=True)
        try:
            _wait(server, stop)
            if not stop.is_set():
                here = Running(os.getpid(), f"{host}:{server.port}", f"http://{host}:{server.rest_port}", list(found))
                whole.write(state, json.dumps(asdict(here)))
                ready(here, server)
            while not stop.wait(POLL_SECONDS / 4):
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
    trials: dict[str, tuple[rollout.Canary, int | None]] = {}
    for name, folder in found.items():
        with contextlib.suppress(ConfigError, OSError):  # told where somebody asks for the file
            now = rollout.read(folder)
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
        change, verdict = rollout.take_back, "taken back"
        if reason is None:
            due = trial.promote_after_s is not None and time.time() - trial.since > trial.promote_after_s
            if not due or seen.requests < ENOUGH:
                continue
            reason = f"{seen.errors} of the last {seen.requests} requests failed, p95 {seen.p95_ms:.1f} ms"
            change, verdict = rollout.promote_canary, "promoted"
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


def _wait(server: ServerProcess, stop: threading.Event) -> None:
    """Waits for the server without a limit: a large model may take minutes, and Ctrl-C ends it."""
    while not stop.is_set():
        try:
            return server.wait(1)
        except ServingError:
            if server.process is None or server.process.poll() is not None:
                raise


@contextlib.contextmanager
def _config_file(serving: Path, found: dict[str, Path]) -> Iterator[Path]:
    """Yields the model config file: the pipeline's own, or one of several that is kept up to date."""
    own = {name: rollout.ensure(folder) for name, folder in found.items()}
    if len(own) == 1:
        yield next(iter(own.values()))
        return
    path, done = serving / f".{COMBINED}.{os.getpid()}", threading.Event()

    def combine() -> None:
        text = rollout.config_list({name: rollout.read(folder) for name, folder in found.items()}, serving)
        if not path.exists() or path.read_text() != text:
            whole.write(path, text)

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
    rollouts = {name: rollout.read(path) for name, path in found.items()}
    written = []
    for name, text in deploy.files(rollouts, serving).items():
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


# --- what is live


def promoted(home: Path, pipeline: str, version: str, why: str) -> rollout.Rollout:
    """Makes a version live: a number, `latest` for the newest from now on, or `canary` for the one on trial."""
    folder = _one(home, pipeline)
    if version == "latest":
        return rollout.promote(folder, None, why)
    if version == "canary":
        canary = rollout.read(folder).canary
        if canary is None:
            raise ConfigError(
                f"Pipeline {folder.name} has no canary; `headrace canary {folder.name} VERSION` starts one."
            )
        return rollout.promote(folder, canary.version, why)
    if not version.isdecimal():
        raise ConfigError(f"Expected a version, latest or canary; found {version!r}.")
    return rollout.promote(folder, int(version), why)


def rolled_back(home: Path, pipeline: str, why: str) -> rollout.Rollout:
    """Ends the canary, or goes back to the version that was live before."""
    return rollout.rollback(_one(home, pipeline), why)


def canary(home: Path, pipeline: str, trial: rollout.Canary, why: str) -> rollout.Rollout:
    """Gives a version its share of the requests."""
    return rollout.start_canary(_one(home, pipeline), trial, why)


@dataclass(frozen=True)
class Watched:
    """What came of watching a canary.

    Attributes:
        requests: How many were sent.
        canary: How many of them the canary answered.
        reason: Why it was taken back; None when it stays.
    """

    requests: int
    canary: int
    reason: str | None


def watch(home: Path, pipeline: str, server: str | None, seconds: float) -> Watched:
    """Sends a canary its share of the model's own warm-up requests; takes it back when it leaves its budget.

    Args:
        home: Folder of `serving/`.
        pipeline: Which.
        server: `host:port` of the gRPC API; None: the server that runs on this home.
        seconds: For how long.

    Raises:
        ConfigError: There is no canary, or no server runs.
        ServingError: The stable version does not answer.
    """
    folder = _one(home, pipeline)
    now = rollout.read(folder)
    if now.canary is None:
        raise ConfigError(f"Pipeline {folder.name} has no canary to watch.")
    here = running(home, folder.name)
    address = server or (here.grpc if here else None)
    if address is None:
        raise ConfigError(f"No server of {folder.name} runs on this home; start one: headrace serve {folder.name}")
    with redirected(Path(os.devnull)):  # what TensorFlow says while it loads
        sent, answered, reason = _watch(folder, now.canary, address, seconds)
    return Watched(sent, answered, reason)


def _watch(folder: Path, trial: rollout.Canary, address: str, seconds: float) -> tuple[int, int, str | None]:
    """Returns how many requests were sent, how many the canary answered, and why it was taken back."""
    from models.serving import warmup
    from models.serving.client import Client
    from models.serving.tensors import to_array

    requests = [log.predict_log.request for log in warmup.read(folder / str(trial.version))]
    if not requests:
        raise ConfigError(f"Version {trial.version} has no warm-up requests to watch it with.")
    questions = [
        ({alias: to_array(one.inputs[alias]) for alias in one.inputs}, one.model_spec.signature_name)
        for one in requests
    ]

    sent = answered = 0
    with Client(address, folder.name, follow=folder) as client:
        _wait_until_loaded(client, folder, trial.version)
        until = time.monotonic() + seconds
        while time.monotonic() < until and rollout.read(folder).canary == trial:
            inputs, signature = questions[sent % len(questions)]
            _, version = client.predict(inputs, signature)
            sent += 1
            answered += version == trial.version
            time.sleep(0.005)
    # The server that `headrace serve` started judges too, and may have been first.
    last = rollout.audit(folder)[-1]
    return sent, answered, last["why"] if last["what"] == "rollback" else None


def _wait_until_loaded(client: Any, folder: Path, version: int) -> None:
    """Waits until the server has a canary; takes back one that does not load."""
    while rollout.read(folder).canary:
        state = client.states().get(version, "")
        if state == "AVAILABLE":
            return
        if state.startswith("END: "):
            rollout.take_back(folder, version, f"it does not load: {state.removeprefix('END: ')}")
        time.sleep(0.1)


def listing(home: Path, pipeline: str) -> list[dict[str, Any]]:
    """Returns each version of a pipeline, the newest first: its labels, who published it, when, its metrics."""
    folder = _one(home, pipeline)
    now, changes = rollout.read(folder), rollout.audit(folder)
    latest = last_version(folder)
    found = []
    for version in reversed(versions(folder)):
        try:
            facts = read_manifest(folder / str(version))
        except ServingError:
            facts = {}
        stable = now.stable if now.stable is not None else latest
        labels = ["stable"] * (version == stable) + ["previous"] * (version == now.previous)
        if now.canary and now.canary.version == version:
            labels.append(f"canary {now.canary.percent:g} %")
        given = [one for one in changes if _role(one["after"], version) not in (None, _role(one["before"], version))]
        found.append(
            {
                "version": version,
                "labels": labels,
                "published": time.strftime(
                    "%Y-%m-%d %H:%M:%S", time.localtime((folder / str(version)).stat().st_ctime)
                ),
                "by": facts.get("by", ""),
                "run": facts.get("run", ""),
                "metrics": (facts.get("evaluation", {}).get("slices", {}).get("overall") or {}),
                "serving": facts.get("serving", {}),
                "change": given[-1] if given else None,
            }
        )
    return found


def _role(live: dict[str, Any], version: int) -> str | None:
    """Returns what a version was, `stable` or `canary`, by a line of the audit; None when it was neither."""
    if live["stable"] == version:
        return "stable"
    return "canary" if (live["canary"] or {}).get("version") == version else None


def newest(home: Path, pipeline: str) -> Path:
    """Returns the folder of a pipeline's newest version; raises ConfigError without one."""
    folder = _one(home, pipeline)
    return folder / str(last_version(folder))


def _one(home: Path, pipeline: str) -> Path:
    return next(iter(destinations(home, [pipeline]).values()))
