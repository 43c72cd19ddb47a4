"""Serves published models. Loads no TensorFlow: the server is a process of its own."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from data.errors import ConfigError, ServingError
from data.files import atomic
from models.serving.deployment import manifests
from models.serving.deployment.process import OURS, ServerProcess, choose, listens
from models.serving.rollout import rollouts
from models.serving.rollout.versions import last_version, read_manifest, versions
from pipeline.core import config
from pipeline.core.files import private_files
from pipeline.core.paths import PipelinePaths
from pipeline.history import runs
from pipeline.history.pipelines import is_path
from pipeline.history.states import RUNNING
from pipeline.live.canaries import Verdict, judge
from pipeline.running.result import home_option, relative

SERVERS = ".servers"
COMBINED = "models.config"
POLL_SECONDS = 1
DEPLOY = "deploy"
NO_INPUT_VALIDATION = ("--input_validation=false", "--input_guard=false")


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


@dataclass(frozen=True)
class ServerOptions:
    """How published models are served.

    Attributes:
        engine: `auto`, `embedded`, `binary` or `docker`.
        host: Address to listen on.
        port, rest_port: Of the two APIs; 0: free ones.
        flags: More flags of TF Serving, such as `--enable_batching`.
    """

    engine: str = "auto"
    host: str = "127.0.0.1"
    port: int = 0
    rest_port: int = 0
    flags: Sequence[str] = ()


def destinations(home: Path, pipelines: Sequence[str]) -> dict[str, Path]:
    """Returns the folder of each pipeline's versions, of all that have one when none is named.

    Raises:
        ConfigError: One has no published version, or none has.
    """
    serving = home.resolve() / "serving"
    names = [config.find(one).stem if is_path(one) else one for one in pipelines]
    if not names:
        names = sorted(path.name for path in serving.iterdir() if versions(path)) if serving.is_dir() else []
        if not names:
            raise ConfigError(f"Nothing is published in {serving}; run a pipeline first: headrace run digits")
    found = {name: serving / name for name in names}
    for name, folder in found.items():
        if not versions(folder):
            there = [path.name for path in serving.iterdir() if versions(path)] if serving.is_dir() else []
            hint = f" Published are: {', '.join(sorted(there))}." if there else ""
            raise ConfigError(f"Pipeline {name} has no published version{why_unpublished(home, name)}.{hint}")
    return found


def why_unpublished(home: Path, name: str) -> str:
    """Returns why a pipeline has no version, the end of a sentence: what its last run came to, or that none ran."""
    ran = runs.runs(home, name)
    again = f"`headrace run {name}{home_option(home)}`"
    if not ran:
        return f"; run {again} first"
    last, page = ran[0], PipelinePaths.of(home, name).reports / f"{ran[0].run}.html"
    where = f" at {last.stages[-1].name}" if last.stages else ""
    seen = f"; page {relative(page)}" if page.is_file() else ""
    if last.state == RUNNING:
        return f"; its first run ({last.run}) is{where}"
    if last.state in ("stopped", "killed"):
        return f": its last run ({last.run}) was {last.state}{where}; {again} goes on from there"
    reason = f": {(last.error.splitlines() or [''])[0].rstrip('.:')}" if last.error else ""
    return f": its last run ({last.run}) {'stopped' if last.error else 'ended'}{where}{reason}{seen}"


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
    options: ServerOptions,
    *,
    ready: Callable[[Running, ServerProcess], None],
    judged: Callable[[Verdict], None],
) -> int:
    """Serves pipelines until a signal comes, and returns the server's exit code.

    Args:
        home: Folder of `serving/`.
        pipelines: Names; none: all that have a published version.
        options: Of the server.
        ready: Called once the server answers.
        judged: Called when a canary ends.

    Raises:
        ConfigError: A pipeline has no version, a port is taken, or a flag is the embedded server's.
        ServingError: The server does not start, or ends by itself.
    """
    found, engine = destinations(home, pipelines), choose(options.engine)
    _check_flags(options.flags, engine)
    _check_ports(options)
    serving = home.resolve() / "serving"
    with private_files(), _config_file(serving, found) as path:
        server = _server(serving, engine, options, [f"--model_config_file={path}", *_sampling(home, found)])
        stop = _stop_signals()
        server.start()
        try:
            _wait(server, stop)
            if not stop:
                rest = f"http://{options.host}:{server.rest_port}"
                here = Running(os.getpid(), f"{options.host}:{server.port}", rest, list(found))
                with _registered(serving, here):
                    ready(here, server)
                    _supervise(server, stop, lambda: judge(found, rest), judged)
        finally:
            code = server.stop()
    return 0 if code in (0, -signal.SIGTERM, 128 + signal.SIGTERM) else code or 0


def _check_flags(flags: Sequence[str], engine: str) -> None:
    """Raises ConfigError for flags of the embedded server where TF Serving's own is used."""
    # TF Serving validates no input: to turn that off is no difference there.
    own = [flag.partition("=")[0] for flag in flags if flag.startswith(OURS) and flag not in NO_INPUT_VALIDATION]
    if own and engine != "embedded":
        raise ConfigError(
            f"{', '.join(own)}: TensorFlow Serving, which is here, has no such flag; add --engine embedded."
        )


def _check_ports(options: ServerOptions) -> None:
    """Raises ConfigError for a port that is taken."""
    for option, number in (("--port", options.port), ("--rest-port", options.rest_port)):
        if number and listens(options.host, number):
            raise ConfigError(f"{option} {number}: another server listens there; choose another, or 0 for a free one.")


def _server(serving: Path, engine: str, options: ServerOptions, flags: Sequence[str]) -> ServerProcess:
    """Returns the server, not yet started; writes its monitoring config."""
    monitoring = serving / "monitoring.config"
    atomic.write(monitoring, manifests.MONITORING)
    return ServerProcess(
        [
            *flags,
            f"--model_config_file_poll_wait_seconds={POLL_SECONDS}",
            "--allow_version_labels_for_unavailable_models=true",
            f"--monitoring_config_file={monitoring}",
            "--default_label=stable",  # TensorFlow Serving has labels only once something was promoted
            *options.flags,
        ],
        serving / "server.log",
        engine,
        options.port,
        options.rest_port,
        options.host,
        [serving],
        ends_with_us=True,
    )


def _stop_signals() -> list[int]:
    """Returns a list that gets the number of each SIGTERM and SIGINT from now on."""
    # No threading.Event: a signal within its wait() would wait for the lock that this very thread holds.
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.append(number))
    return stop


@contextlib.contextmanager
def _registered(serving: Path, here: Running) -> Iterator[None]:
    """Within this block `running` finds the server."""
    state = serving / SERVERS / f"{here.pid}.json"
    state.parent.mkdir(exist_ok=True)
    try:
        atomic.write(state, json.dumps(asdict(here)))
        yield
    finally:
        state.unlink(missing_ok=True)


def _supervise(
    server: ServerProcess,
    stop: Sequence[int],
    judge_canaries: Callable[[], list[Verdict]],
    judged: Callable[[Verdict], None],
) -> None:
    """Judges canaries until a signal comes; raises ServingError when the server ends by itself."""
    reported: set[Verdict] = set()
    while not stop:
        time.sleep(POLL_SECONDS / 4)
        if server.process is not None and server.process.poll() is not None:
            raise ServingError(f"The model server ended by itself: {server.last_words()}")
        for verdict in judge_canaries():
            if verdict not in reported:  # one that cannot be carried out comes again
                reported.add(verdict)
                judged(verdict)


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
    live = {name: rollouts.read(path) for name, path in found.items()}
    written = []
    for name, text in manifests.files(live, serving).items():
        (folder / name).write_text(text)
        written.append(folder / name)
    return written
