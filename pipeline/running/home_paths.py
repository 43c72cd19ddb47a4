"""Paths of a run without the home: TFX makes its cache keys of them, and a home may move.

In ML Metadata an artifact's URI is relative to the home, and a parameter names a folder by a word. Only while a
stage's executor runs do both hold absolute paths. Beam's options are such a word, too: with any number of workers a
stage writes the same.
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
    """What the words stand for in one run.

    Attributes:
        home: The home folder.
        base: The run file's folder.
        reached: The home folder as executors get it: where TensorFlow would take its path for a pattern, a link to it.
        beam_args: Beam's options.
    """

    home: Path
    base: Path
    reached: Path
    beam_args: Sequence[str] = ()

    def fill(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Returns execution properties with folders and options in the place of the words."""
        filled = {name: self._fill(value) for name, value in properties.items()}
        if "custom_config" in filled:
            custom = json.loads(filled["custom_config"])
            filled["custom_config"] = json.dumps({name: self._fill(value) for name, value in custom.items()})
        return filled

    def absolute(self, info: ExecutionInfo) -> ExecutionInfo:
        """Returns a copy of what an executor gets in which every path is absolute."""
        copied = copy.copy(info)
        copied.input_dict, copied.output_dict = self._artifacts(info.input_dict), self._artifacts(info.output_dict)
        copied.exec_properties = self.fill(info.exec_properties)
        for name in ("execution_output_uri", "stateful_working_dir", "tmp_dir"):
            setattr(copied, name, f"{self.reached}/{getattr(info, name)}")  # not as a Path: one ends with a slash
        return copied

    def relative(self, output: ExecutorOutput, properties: Mapping[str, Any]) -> ExecutorOutput:
        """Returns what an executor gave back with URIs that are relative to the home again.

        Args:
            output: What it gave back; it is changed.
            properties: The execution properties as they were before `absolute`.
        """
        for artifacts in output.output_artifacts.values():
            for artifact in artifacts.artifacts:
                artifact.uri = str(Path(artifact.uri).relative_to(self.reached))
        filled = self.fill(properties)
        for name in [name for name in output.execution_properties if filled.get(name) != properties.get(name)]:
            del output.execution_properties[name]  # ML Metadata has it, with the words, since the stage began
        return output

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """An error that leaves this block names the home folder, not the link to it."""
        try:
            yield
        except HeadraceError as error:
            error.args = tuple(str(part).replace(str(self.reached), str(self.home)) for part in error.args)
            raise

    def _fill(self, value: Any) -> Any:
        for word, content in ((HOME, self.reached), (BASE, self.base), (BEAM, json.dumps(list(self.beam_args)))):
            if isinstance(value, str) and value.startswith(word):
                return f"{content}{value.removeprefix(word)}"
        return value

    def _artifacts(self, artifacts: Mapping[str, Sequence[Artifact]]) -> dict[str, list[Artifact]]:
        copied = {name: [copy.deepcopy(one) for one in several] for name, several in artifacts.items()}
        for one in (one for several in copied.values() for one in several):
            one.uri = str(self.reached / one.uri)
        return copied
