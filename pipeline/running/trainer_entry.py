"""What TFX's Trainer calls by its dotted name: an adapter from its arguments to the training of a task's model.

`custom_config` is what `pipeline.running.wiring` put there: names and settings as JSON values.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

from components.artifact_files import TENSORBOARD, TRAINING
from components.example_gen import read_summary
from data.spec import DatasetSpec
from data.texts import to_json
from models import registry
from models.config import TrainConfig
from models.measuring import measured
from models.training.job import TrainingJob
from models.training.trainer import train


def run_fn(fn_args):
    """TFX Trainer's entry: trains and exports the task's model."""
    custom = fn_args.custom_config
    task = registry.task(custom["task"])
    # Not in the artifact's folder: TFX removes that when a training fails, which is when its curves are wanted most.
    home, curves = Path(custom["home"]), Path(custom["tensorboard"]) / os.environ["HEADRACE_RUN"]
    logs = home / curves
    logs.mkdir(parents=True, exist_ok=True)
    num_rows = {split: facts["rows"] for split, facts in _summary(fn_args.train_files).items()}
    job = TrainingJob(
        task=task,
        config=task.config.model_validate(custom["config"]),
        train=TrainConfig.model_validate(custom["train"]),
        spec=DatasetSpec.model_validate(custom["spec"]),
        seed=custom["seed"],
        num_rows=num_rows,
        train_files=_files(fn_args.train_files),
        validation_files=_files(fn_args.eval_files),
        transform_folder=fn_args.transform_graph_path,
        model_folder=fn_args.serving_model_dir,
        log_folder=str(logs),
        checkpoint_folder=str(_checkpoint_folder(fn_args)),
        published=str(home / custom["published"]["folder"]) if custom["published"] else None,
        why_no_warm_start=custom["published"].get("why_not", ""),
    )
    trained, seconds, mib = measured(lambda: train(job))
    # A link would make TensorBoard, which follows links, show everything twice.
    Path(fn_args.model_run_dir).mkdir(parents=True, exist_ok=True)
    took = {"seconds": seconds, "peak_mib": mib, "rows": num_rows["train"], **dataclasses.asdict(trained)}
    TRAINING.path(fn_args.model_run_dir).write_text(to_json(took))
    TENSORBOARD.path(fn_args.model_run_dir).write_text(f"{curves}\n")


def _summary(patterns) -> dict:
    """Returns what ingest wrote down about the examples that TFX's patterns stand for."""
    return read_summary(str(Path(patterns[0]).parent.parent))


def _checkpoint_folder(fn_args) -> Path:
    """Returns the folder of this training's checkpoints: same settings, code, seed and input, same folder."""
    settings = dict(fn_args.custom_config)
    home = Path(settings.pop("home"))  # which may have moved since the training was stopped
    inputs = [*fn_args.train_files, *fn_args.eval_files, fn_args.transform_graph_path]
    identity = [settings, [str(Path(path).relative_to(home)) for path in inputs]]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return home / settings["checkpoints"] / key


def _files(patterns) -> list[str]:
    """Returns the files that TFX's patterns stand for, in order."""
    return sorted(str(path) for pattern in patterns for path in Path(pattern).parent.glob(Path(pattern).name))
