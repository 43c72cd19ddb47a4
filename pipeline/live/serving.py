"""Serves published models. Loads no TensorFlow: the server is a separate process."""

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
class RunningServer:
    """A running server that `headrace serve` started.

    Attributes:
        pid: Process id of `headrace serve`.
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
        port, rest_port: Ports of the gRPC and the REST API; 0 for a free one.
        flags: Further flags of TF Serving, such as `--enable_batching`.
    """

    engine: str = "auto"
    host: str = "127.0.0.1"
    port: int = 0
    rest_port: int = 0
    flags: Sequence[str] = ()


def version_folders(home: Path, pipelines: Sequence[str]) -> dict[str, Path]:
    """Returns pipeline -> folder of its versions; without names, of all pipelines with a published version.

    Raises:
        ConfigError: A named pipeline has no published version, or none has.
    """
    serving = home.resolve() / "serving"
    names = [config.find(pipeline).stem if is_path(pipeline) else pipeline for pipeline in pipelines]
    if not names:
        names = sorted(path.name for path in serving.iterdir() if versions(path)) if serving.is_dir() else []
        if not names:
            raise ConfigError(f"Nothing is published in {serving}; run a pipeline first: headrace run digits")
    folders = {name: serving / name for name in names}
    for name, folder in folders.items():
        if not versions(folder):
            published = [path.name for path in serving.iterdir() if versions(path)] if serving.is_dir() else []
            hint = f" Published are: {', '.join(sorted(published))}." if published else ""
            raise ConfigError(f"Pipeline {name} has no published version{why_unpublished(home, name)}.{hint}")
    return folders


def why_unpublished(home: Path, name: str) -> str:
    """Returns why a pipeline has no version, as the end of a sentence: how its last run ended, or that none has run."""
    records = runs.runs(home, name)
    again = f"`headrace run {name}{home_option(home)}`"
    if not records:
        return f"; run {again} first"
    last, page = records[0], PipelinePaths.of(home, name).reports / f"{records[0].run}.html"
    where = f" at {last.stages[-1].name}" if last.stages else ""
    page_hint = f"; page {relative(page)}" if page.is_file() else ""
    if last.state == RUNNING:
        return f"; its first run ({last.run}) is{where}"
    if last.state in ("stopped", "killed"):
        return f": its last run ({last.run}) was {last.state}{where}; {again} goes on from there"
    reason = f": {(last.error.splitlines() or [''])[0].rstrip('.:')}" if last.error else ""
    return f": its last run ({last.run}) {'stopped' if last.error else 'ended'}{where}{reason}{page_hint}"


def find_server(home: Path, pipeline: str) -> RunningServer | None:
    """Returns the server of a pipeline that was started last on this home and runs; None when there is none."""
    states = (home.resolve() / "serving" / SERVERS).glob("*.json")
    for state in sorted(states, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            server = RunningServer(**json.loads(state.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        host, _, port = server.rest.rpartition("/")[2].rpartition(":")
        if not psutil.pid_exists(server.pid) or not listens(host, int(port)):
            state.unlink(missing_ok=True)  # it was killed
        elif pipeline in server.models:
            return server
    return None


def _sampling_flags(home: Path, folders: dict[str, Path]) -> list[str]:
    """Returns the flag that turns on sampling of requests, by the manifests of the newest versions; none without."""
    settings = {}
    for name, folder in folders.items():
        sample = read_manifest(folder / str(last_version(folder))).get("sample", {})
        if sample.get("rate"):
            settings[name] = {**sample, "folder": str(PipelinePaths.of(home, name).samples)}
    if not settings:
        return []
    file = home.resolve() / "serving" / "sampling.json"
    atomic.write(file, json.dumps(settings))  # atomic: another server of this home may be starting
    return [f"--sample_config_file={file}"]


def serve(
    home: Path,
    pipelines: Sequence[str],
    options: ServerOptions,
    *,
    on_ready: Callable[[RunningServer, ServerProcess], None],
    on_verdict: Callable[[Verdict], None],
) -> int:
    """Serves pipelines until a signal comes, and returns the server's exit code.

    Args:
        home: Folder of `serving/`.
        pipelines: Names of pipelines; empty for all with a published version.
        options: How they are served.
        on_ready: Called once the server answers.
        on_verdict: Called when a canary ends.

    Raises:
        ConfigError: A pipeline has no version, a port is taken, or a flag is the embedded server's.
        ServingError: The server does not start, or ends by itself.
    """
    folders, engine = version_folders(home, pipelines), choose(options.engine)
    _check_flags(options.flags, engine)
    _check_ports(options)
    serving = home.resolve() / "serving"
    with private_files(), _config_file(serving, folders) as config_file:
        server = _server(
            serving, engine, options, [f"--model_config_file={config_file}", *_sampling_flags(home, folders)]
        )
        signals = _stop_signals()
        server.start()
        try:
            _wait(server, signals)
            if not signals:
                rest = f"http://{options.host}:{server.rest_port}"
                running_server = RunningServer(os.getpid(), f"{options.host}:{server.port}", rest, list(folders))
                with _registered(serving, running_server):
                    on_ready(running_server, server)
                    _supervise(server, signals, lambda: judge(folders, rest), on_verdict)
        finally:
            code = server.stop()
    return 0 if code in (0, -signal.SIGTERM, 128 + signal.SIGTERM) else code or 0


def _check_flags(flags: Sequence[str], engine: str) -> None:
    """Raises ConfigError for flags of the embedded server where TF Serving's own is used."""
    # TF Serving validates no input, so that turning validation off changes nothing.
    unsupported = [
        flag.partition("=")[0] for flag in flags if flag.startswith(OURS) and flag not in NO_INPUT_VALIDATION
    ]
    if unsupported and engine != "embedded":
        raise ConfigError(
            f"{', '.join(unsupported)}: TensorFlow Serving, which is here, has no such flag; add --engine embedded."
        )


def _check_ports(options: ServerOptions) -> None:
    """Raises ConfigError for a port that is in use."""
    for option, number in (("--port", options.port), ("--rest-port", options.rest_port)):
        if number and listens(options.host, number):
            raise ConfigError(f"{option} {number}: another server listens there; choose another, or 0 for a free one.")


def _server(serving: Path, engine: str, options: ServerOptions, flags: Sequence[str]) -> ServerProcess:
    """Returns the server, not yet started; writes its monitoring configuration."""
    monitoring_file = serving / "monitoring.config"
    atomic.write(monitoring_file, manifests.MONITORING)
    return ServerProcess(
        [
            *flags,
            f"--model_config_file_poll_wait_seconds={POLL_SECONDS}",
            "--allow_version_labels_for_unavailable_models=true",
            f"--monitoring_config_file={monitoring_file}",
            "--default_label=stable",  # TensorFlow Serving has no labels before the first promotion
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
    """Returns a list to which the number of each SIGTERM and SIGINT is appended from now on."""
    # No threading.Event: a handler that runs during its wait() would wait for a lock that its own thread holds.
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    return signals


@contextlib.contextmanager
def _registered(serving: Path, running_server: RunningServer) -> Iterator[None]:
    """Registers a server for the block, so that `find_server` finds it."""
    file = serving / SERVERS / f"{running_server.pid}.json"
    file.parent.mkdir(exist_ok=True)
    try:
        atomic.write(file, json.dumps(asdict(running_server)))
        yield
    finally:
        file.unlink(missing_ok=True)


def _supervise(
    server: ServerProcess,
    signals: Sequence[int],
    judge_canaries: Callable[[], list[Verdict]],
    on_verdict: Callable[[Verdict], None],
) -> None:
    """Judges canaries until a signal comes; raises ServingError when the server ends by itself."""
    reported: set[Verdict] = set()
    while not signals:
        time.sleep(POLL_SECONDS / 4)
        if server.process is not None and server.process.poll() is not None:
            raise ServingError(f"The model server ended by itself: {server.last_words()}")
        for verdict in judge_canaries():
            if verdict not in reported:  # a verdict that cannot be carried out is returned again
                reported.add(verdict)
                on_verdict(verdict)


def _wait(server: ServerProcess, signals: Sequence[int]) -> None:
    """Waits for the server without a time limit, as a large model may take minutes; a signal ends the wait."""
    while not signals:
        try:
            return server.wait(1)
        except ServingError:
            if server.process is None or server.process.poll() is not None:
                raise


@contextlib.contextmanager
def _config_file(serving: Path, folders: dict[str, Path]) -> Iterator[Path]:
    """Yields the model config file: that of the pipeline, or one for several pipelines that is kept up to date."""
    config_files = {name: rollouts.ensure(folder) for name, folder in folders.items()}
    if len(config_files) == 1:
        yield next(iter(config_files.values()))
        return
    path, ended = serving / f".{COMBINED}.{os.getpid()}", threading.Event()

    def combine() -> None:
        text = rollouts.config_list({name: rollouts.read(folder) for name, folder in folders.items()}, serving)
        if not path.exists() or path.read_text() != text:
            atomic.write(path, text)

    def follow() -> None:
        while not ended.wait(POLL_SECONDS):
            with contextlib.suppress(ConfigError, OSError):
                combine()

    combine()
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        ended.set()
        thread.join()
        path.unlink(missing_ok=True)


def write_deployment(home: Path, pipelines: Sequence[str], out: Path | None) -> list[Path]:
    """Writes the files with which TF Serving on another machine serves the models, and returns them."""
    folders = version_folders(home, pipelines)
    serving = home.resolve() / "serving"
    folder = out or serving / DEPLOY
    folder.mkdir(parents=True, exist_ok=True)
    current = {name: rollouts.read(path) for name, path in folders.items()}
    written = []
    for name, text in manifests.files(current, serving).items():
        (folder / name).write_text(text)
        written.append(folder / name)
    return written
