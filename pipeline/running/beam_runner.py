"""TFX's BeamDagRunner, told to say what each node is doing."""

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


def run_pipeline(pipeline: Pipeline, run: str, observer) -> None:
    """Runs a pipeline in this process under the identifier `run`; `observer.observe(stage, launch)` runs each node."""
    # BeamDagRunner takes no options; see `graph.RUNNER`.
    StandardOptions.DEFAULT_RUNNER = "FnApiRunner"
    _ObservedNode.observer = observer
    try:
        _ObservedRunner(run).run(pipeline)
    finally:
        _ObservedNode.observer = None


class _Launcher(launcher.Launcher):
    """Remembers whether the executor ran: TFX does not say whether it took an earlier result."""

    executed = False

    def _run_executor(self, execution_info):
        self.executed = True
        return super()._run_executor(execution_info)


class _ObservedNode(PipelineNodeAsDoFn):
    """A node that tells the observer when it begins and ends."""

    # On the class: Beam pickles the instances, and all nodes run in this process.
    observer: ClassVar = None

    def _run_node(self) -> None:
        self.observer.observe(self._node_id, self._launch)

    def _launch(self) -> tuple[bool, dict[str, str]]:
        """Runs the node as PipelineNodeAsDoFn does; returns whether it was cached, and its outputs' folders."""
        node_launcher = _Launcher(
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
        outputs = {key: artifacts[0].uri for key, artifacts in found.items() if artifacts}
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
