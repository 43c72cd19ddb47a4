"""Builds the TFX pipeline of a run file from the table of stages."""

from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from data.columnar.workers import SEVERAL_WORKERS
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths
from pipeline.core.stages import STAGES
from pipeline.running import wiring

# Without this option Beam first tries to download another runner.
RUNNER = "--runner=FnApiRunner"
# Local runners ignore the image; with it TFX does not build a package of itself for remote workers in each run.
LOCAL = [RUNNER, "--sdk_container_image=none"]
BEAM_ARGS = [*LOCAL, "--direct_running_mode=in_memory"]


def beam_args(workers: int) -> list[str]:
    """Returns Beam's options for a number of worker processes."""
    if workers == 1:
        return BEAM_ARGS
    return [*LOCAL, SEVERAL_WORKERS, f"--direct_num_workers={workers}"]


def build(named: NamedConfig, paths: PipelinePaths, run: str, *, allow_unblessed: bool = False) -> Pipeline:
    """Returns the pipeline of a resolved run file.

    Args:
        named: The run file.
        paths: Paths of the pipeline in its home.
        run: Identifier of this run.
        allow_unblessed: Whether to continue with a model below its thresholds; it is not published.
    """
    inputs = wiring.Wiring(named, paths, run, allow_unblessed)
    for stage in STAGES:
        node = getattr(wiring, stage.id)(inputs).with_id(stage.id)
        for other in stage.runs_after:
            node.add_upstream_node(inputs.components[other])
        inputs.components[stage.id] = node
    return Pipeline(
        pipeline_name=named.name,
        pipeline_root=paths.relative(paths.artifacts),
        components=list(inputs.components.values()),
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(paths.database)),
        beam_pipeline_args=beam_args(named.config.beam.workers),
    )
