"""Keeps the path of the home out of ML Metadata: TFX's cache keys contain paths, and a home may be moved.

In ML Metadata an artifact's URI is relative to the home, and a parameter names a folder by a placeholder. Both hold
absolute paths only while a stage's executor runs. Beam's options have a placeholder, too, since the outputs of a stage
do not depend on the number of workers.
"""

import contextlib
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.proto.orchestration.execution_result_pb2 import ExecutorOutput
from tfx.types import Artifact

from data.errors import HeadraceError

HOME = "<home>"  # the home folder, at the beginning of a parameter or of a value of `custom_config`
BASE = "<base>"  # the run file's folder, where relative paths of data start
BEAM = "<beam>"  # Beam's options, as JSON


@dataclass(frozen=True)
class HomePaths:
    """The values of the placeholders in one run.

    Attributes:
        home: The home folder.
        base: Folder of the run file.
        executor_home: The home folder for executors: a link to it if TensorFlow would take its path for a pattern.
        beam_args: Beam's options.
    """

    home: Path
    base: Path
    executor_home: Path
    beam_args: Sequence[str] = ()

    def fill(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Returns execution properties in which placeholders are replaced by folders and options."""
        filled = {name: self._fill(value) for name, value in properties.items()}
        if "custom_config" in filled:
            custom = json.loads(filled["custom_config"])
            filled["custom_config"] = json.dumps({name: self._fill(value) for name, value in custom.items()})
        return filled

    def absolute(self, info: ExecutionInfo) -> ExecutionInfo:
        """Returns a copy of an executor's input in which all paths are absolute."""
        copied = copy.copy(info)
        copied.input_dict, copied.output_dict = self._artifacts(info.input_dict), self._artifacts(info.output_dict)
        copied.exec_properties = self.fill(info.exec_properties)
        for name in ("execution_output_uri", "stateful_working_dir", "tmp_dir"):
            setattr(copied, name, f"{self.executor_home}/{getattr(info, name)}")  # not as a Path: one ends with a slash
        return copied

    def relative(self, output: ExecutorOutput, properties: Mapping[str, Any]) -> ExecutorOutput:
        """Returns an executor's output with URIs relative to the home.

        Args:
            output: The output; it is changed.
            properties: The execution properties with placeholders, as before `absolute`.
        """
        for artifacts in output.output_artifacts.values():
            for artifact in artifacts.artifacts:
                artifact.uri = str(Path(artifact.uri).relative_to(self.executor_home))
        filled = self.fill(properties)
        for name in [name for name in output.execution_properties if filled.get(name) != properties.get(name)]:
            del output.execution_properties[name]  # ML Metadata has had it, with placeholders, since the stage began
        return output

    @contextlib.contextmanager
    def naming_home(self) -> Iterator[None]:
        """Within this block an error that is raised names the home folder, not the link to it."""
        try:
            yield
        except HeadraceError as error:
            error.args = tuple(str(part).replace(str(self.executor_home), str(self.home)) for part in error.args)
            raise

    def _fill(self, value: Any) -> Any:
        for placeholder, content in (
            (HOME, self.executor_home),
            (BASE, self.base),
            (BEAM, json.dumps(list(self.beam_args))),
        ):
            if isinstance(value, str) and value.startswith(placeholder):
                return f"{content}{value.removeprefix(placeholder)}"
        return value

    def _artifacts(self, by_name: Mapping[str, Sequence[Artifact]]) -> dict[str, list[Artifact]]:
        copied = {name: [copy.deepcopy(artifact) for artifact in artifacts] for name, artifacts in by_name.items()}
        for artifact in (artifact for artifacts in copied.values() for artifact in artifacts):
            artifact.uri = str(self.executor_home / artifact.uri)
        return copied
