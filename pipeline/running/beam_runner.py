"""TFX's BeamDagRunner with an observer of each node, and without paths of the home in ML Metadata."""

import contextlib
import shutil
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
from data.errors import HeadraceError
from pipeline.core.stages import STAGES
from pipeline.running.home_paths import HomePaths

GATES = {stage.id for stage in STAGES if stage.is_gate}


def run_pipeline(pipeline: Pipeline, run: str, observer, home_paths: HomePaths) -> None:
    """Runs a pipeline in this process.

    Args:
        pipeline: The pipeline; its root is relative to the home.
        run: Identifier of the run.
        observer: `observer.observe(stage, launch)` runs each node.
        home_paths: Makes relative paths absolute for executors.
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
    """Records whether the executor ran, since TFX does not tell whether a result came from the cache.

    The executor gets absolute paths, and runs in the folder in which the run was started. The outputs of a gate that
    stops the run are copied, since TFX removes the outputs of an execution that failed.

    Attributes:
        executed: Whether the executor ran.
        gate_outputs: Output name -> folder with a copy of the output of a gate that failed.
    """

    executed = False

    def __init__(self, home_paths: HomePaths, started_in: Path, **arguments):
        super().__init__(**arguments)
        self._home_paths, self._started_in = home_paths, started_in
        self.gate_outputs: dict[str, str] = {}

    def _run_executor(self, execution_info):
        self.executed = True
        if self._pipeline_node.node_info.id in GATES:
            run_gate = self._executor_operator.run_executor
            self._executor_operator.run_executor = lambda info: self._run_gate(run_gate, info)
        with contextlib.chdir(self._started_in), self._home_paths.naming_home():
            output = super()._run_executor(self._home_paths.absolute(execution_info))
        return self._home_paths.relative(output, execution_info.exec_properties)

    def _run_gate(self, run_executor, info):
        try:
            return run_executor(info)
        except HeadraceError:
            for name, artifacts in info.output_dict.items():
                for folder in [Path(artifact.uri) for artifact in artifacts if any(Path(artifact.uri).iterdir())][:1]:
                    copy = self._home_paths.home / folder.relative_to(self._home_paths.executor_home)
                    self.gate_outputs[name] = f"{copy}.failed"
                    shutil.copytree(folder, self.gate_outputs[name])
            raise


class _ObservedNode(PipelineNodeAsDoFn):
    """A node that runs under the observer."""

    # Attributes of the class, since Beam pickles the instances; all nodes run in this process.
    observer: ClassVar = None
    home_paths: ClassVar[HomePaths]
    started_in: ClassVar[Path]

    def _run_node(self) -> None:
        self.observer.observe(self._node_id, self._launch)

    def _launch(self) -> tuple[bool, dict[str, str]]:
        """Runs the node as PipelineNodeAsDoFn does; returns whether it was cached, and output name -> folder."""
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
        try:
            info = node_launcher.launch()
        except HeadraceError:
            self.observer.gate_outputs = node_launcher.gate_outputs
            raise
        if not info or not info.output_dict:
            # TFX would only log this and continue with the next node.
            raise RuntimeError(f"stage {self._node_id} did not run: its inputs were not found in ML Metadata")
        output_artifacts = info.output_dict
        if not node_launcher.executed:
            # TFX returns the folders that a new result would have had.
            with metadata.Metadata(self._mlmd_connection_config) as store:
                output_artifacts = execution_lib.get_output_artifacts(store, info.execution_id)
        home = self.home_paths.home
        outputs = {key: str(home / artifacts[0].uri) for key, artifacts in output_artifacts.items() if artifacts}
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
        # Before BeamDagRunner inserts an identifier of its own.
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self._run}
        )
        super().run_with_ir(pipeline, run_options)
