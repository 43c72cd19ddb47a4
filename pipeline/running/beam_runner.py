"""TFX's BeamDagRunner, told to say what each node is doing, and to record no path of the home."""

import contextlib
from pathlib import Path
from typing import ClassVar

from apache_beam.options.pipeline_options import StandardOptions
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner, PipelineNodeAsDoFn
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib

from components.manifests import write_manifest
from pipeline.running.home_paths import HomePaths


def run_pipeline(pipeline: Pipeline, run: str, observer, home_paths: HomePaths) -> None:
    """Runs a pipeline in this process.

    Args:
        pipeline: The pipeline; its root is relative to the home.
        run: Identifier of the run.
        observer: `observer.observe(stage, launch)` runs each node.
        home_paths: What executors get in the place of relative paths.
    """
    # BeamDagRunner takes no options; see `graph.RUNNER`.
    StandardOptions.DEFAULT_RUNNER = "FnApiRunner"
    _ObservedNode.observer, _ObservedNode.home_paths, _ObservedNode.started_in = observer, home_paths, Path.cwd()
    try:
        with contextlib.chdir(home_paths.home):  # TFX makes, looks for and removes folders by their relative URIs
            _ObservedRunner(run).run(pipeline)
    finally:
        _ObservedNode.observer = None


class _Launcher(launcher.Launcher):
    """Remembers whether the executor ran: TFX does not say whether it took an earlier result.

    The executor gets absolute paths, and the folder in which the run was started.
    """

    executed = False

    def __init__(self, home_paths: HomePaths, started_in: Path, **arguments):
        super().__init__(**arguments)
        self._home_paths, self._started_in = home_paths, started_in

    def _run_executor(self, execution_info):
        self.executed = True
        with contextlib.chdir(self._started_in), self._home_paths.telling():
            output = super()._run_executor(self._home_paths.absolute(execution_info))
        return self._home_paths.relative(output, execution_info.exec_properties)


class _ObservedNode(PipelineNodeAsDoFn):
    """A node that tells the observer when it begins and ends."""

    # On the class: Beam pickles the instances, and all nodes run in this process.
    observer: ClassVar = None
    home_paths: ClassVar[HomePaths]
    started_in: ClassVar[Path]

    def _run_node(self) -> None:
        self.observer.observe(self._node_id, self._launch)

    def _launch(self) -> tuple[bool, dict[str, str]]:
        """Runs the node as PipelineNodeAsDoFn does; returns whether it was cached, and its outputs' folders."""
        node_launcher = _Launcher(
            home_paths=self.home_paths,
            started_in=self.started_in,
            pipeline_node=self._pipeline_node,
            mlmd_connection=metadata.Metadata(self._mlmd_connection_config),
            pipeline_info=self._pipeline_info,
            pipeline_runtime_spec=self._pipeline_runtime_spec,
            executor_spec=self._executor_spec,
            platform_config=self._extract_platform_config(self._deployment_config, self._node_id),
            custom_driver_spec=self._custom_driver_spec,
        )
        info = node_launcher.launch()
        if not info or not info.output_dict:
            # TFX logs this and goes on with the next node.
            raise RuntimeError(f"stage {self._node_id} did not run: its inputs were not found in ML Metadata")
        found = info.output_dict
        if not node_launcher.executed:
            # TFX hands back the folders that a new result would have had.
            with metadata.Metadata(self._mlmd_connection_config) as store:
                found = execution_lib.get_output_artifacts(store, info.execution_id)
        home = self.home_paths.home
        outputs = {key: str(home / artifacts[0].uri) for key, artifacts in found.items() if artifacts}
        if node_launcher.executed:
            for uri in outputs.values():
                write_manifest(Path(uri))
        return not node_launcher.executed, outputs


class _ObservedRunner(BeamDagRunner):
    _PIPELINE_NODE_DO_FN_CLS = _ObservedNode

    def __new__(cls, run: str):
        return super().__new__(cls)

    def __init__(self, run: str):
        self._run = run

    def run_with_ir(self, pipeline, run_options=None) -> None:
        # Before BeamDagRunner puts in an identifier of its own making.
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self._run}
        )
        super().run_with_ir(pipeline, run_options)
