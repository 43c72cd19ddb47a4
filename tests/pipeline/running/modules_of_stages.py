"""Runs the code of each stage of a finished pipeline in a process of its own; prints which modules of ours it loaded.

`modules_of_stages.py STAGES.json` prints a JSON line for each stage. The file has for each stage its component
(`module`, `name`), its execution properties and the folder of each input; for TFX's Trainer the training function is
called.

Third-party packages are imported once, before the processes are forked, since TensorFlow alone takes seconds.
"""

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

OURS = ("pipeline", "components", "models", "data")


def run_component(stage: dict[str, Any], folder: Path) -> None:
    """Calls the function behind a component of ours, as its executor does."""
    component = getattr(importlib.import_module(stage["module"]), stage["name"])
    arguments = dict(stage["properties"])
    for key, parameter in component.SPEC_CLASS.INPUTS.items():
        arguments[key] = parameter.type()
        arguments[key].uri = stage["inputs"][key]
    for key, parameter in component.SPEC_CLASS.OUTPUTS.items():
        arguments[key] = parameter.type()
        arguments[key].uri = str(folder / key)
        (folder / key).mkdir()
    component.EXECUTOR_SPEC.executor_class._FUNCTION(**arguments)


def run_training(stage: dict[str, Any], folder: Path) -> None:
    """Calls the function that TFX's Trainer calls, for one epoch."""
    examples, custom = stage["inputs"]["examples"], json.loads(stage["properties"]["custom_config"])
    custom["train"]["epochs"] = 1
    paths = {"tensorboard": str(folder / "tensorboard"), "checkpoints": str(folder / "checkpoints")}
    os.environ["HEADRACE_RUN"] = "run"
    _entry(stage["properties"]["run_fn"])(
        SimpleNamespace(
            custom_config={**custom, **paths},
            train_files=[f"{examples}/Split-train/*"],
            eval_files=[f"{examples}/Split-validation/*"],
            transform_graph_path=stage["inputs"]["transform_graph"],
            serving_model_dir=str(folder / "model"),
            model_run_dir=str(folder / "model_run"),
        )
    )


def _entry(path: str):
    module, _, function = path.rpartition(".")
    return getattr(importlib.import_module(module), function)


def loaded() -> list[str]:
    """Returns the modules of ours that this process has loaded."""
    return sorted(name for name in sys.modules if name.partition(".")[0] in OURS)


def main() -> None:
    for name in ("keras", "sklearn.linear_model", "tensorflow_data_validation", "tensorflow_model_analysis"):
        importlib.import_module(name)
    for name in (
        "tensorflow_transform.beam",
        "tfx.dsl.component.experimental.decorators",
        "tfx.types.standard_artifacts",
    ):
        importlib.import_module(name)
    assert not loaded()
    for name, stage in json.loads(Path(sys.argv[1]).read_text()).items():
        run = run_training if name == "train" else run_component
        sys.stdout.flush()
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, name
            continue
        with tempfile.TemporaryDirectory() as folder:
            run(stage, Path(folder))
        print(json.dumps({"stage": name, "modules": loaded()}), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
