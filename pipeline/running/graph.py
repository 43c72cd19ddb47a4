"""RunConfig -> TFX pipeline: walks the table of stages."""

from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from data.columnar.workers import SEVERAL_WORKERS
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths
from pipeline.core.stages import STAGES
from pipeline.running import wiring

# Without it Beam first tries to download another runner.
RUNNER = "--runner=FnApiRunner"
# The image, which no local runner looks at, keeps TFX from building a package of itself for remote workers each time.
LOCAL = [RUNNER, "--sdk_container_image=none"]
BEAM_ARGS = [*LOCAL, "--direct_running_mode=in_memory"]


def beam_args(workers: int) -> list[str]:
    """Returns Beam's options for so many processes."""
    if workers == 1:
        return BEAM_ARGS
    return [*LOCAL, SEVERAL_WORKERS, f"--direct_num_workers={workers}"]


def build(named: NamedConfig, paths: PipelinePaths, run: str, *, allow_unblessed: bool = False) -> Pipeline:
    """Returns the pipeline of a resolved run file.

    Args:
        named: The run file.
        paths: Where state goes.
        run: Identifier of this run.
        allow_unblessed: Go on with a model that is not good enough; it is still not published.
    """
    inputs = wiring.Wiring(named, paths, run, allow_unblessed)
    for stage in STAGES:
        node = getattr(wiring, stage.id)(inputs).with_id(stage.id)
        for other in stage.runs_after:
            node.add_upstream_node(inputs.made[other])
        inputs.made[stage.id] = node
    return Pipeline(
        pipeline_name=named.name,
        pipeline_root=paths.relative(paths.artifacts),
        components=list(inputs.made.values()),
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(paths.database)),
        beam_pipeline_args=beam_args(named.config.beam.workers),
    )
