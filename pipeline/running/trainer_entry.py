"""The function that TFX's Trainer calls by its dotted name: it trains a task's model with the Trainer's arguments.

`custom_config` comes from `pipeline.running.wiring`: names and settings as JSON values.
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
    """Trains and exports the task's model; called by TFX's Trainer."""
    custom = fn_args.custom_config
    task = registry.task(custom["task"])
    # Not in the artifact's folder, which TFX removes when a training fails; its curves are needed then most of all.
    home, curves = Path(custom["home"]), Path(custom["tensorboard"]) / os.environ["HEADRACE_RUN"]
    logs = home / curves
    logs.mkdir(parents=True, exist_ok=True)
    summary = _summary(fn_args.train_files)
    num_rows = {split: facts["rows"] for split, facts in summary.items()}
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
        mean_weights={split: facts["mean_weight"] for split, facts in summary.items() if "mean_weight" in facts},
    )
    trained, seconds, mib = measured(lambda: train(job))
    # A path in a text file, not a link: TensorBoard follows links and would show everything twice.
    Path(fn_args.model_run_dir).mkdir(parents=True, exist_ok=True)
    training_summary = {"seconds": seconds, "peak_mib": mib, "rows": num_rows["train"], **dataclasses.asdict(trained)}
    TRAINING.path(fn_args.model_run_dir).write_text(to_json(training_summary))
    TENSORBOARD.path(fn_args.model_run_dir).write_text(f"{curves}\n")


def _summary(patterns) -> dict:
    """Returns the summary that ingest wrote for the examples of TFX's file patterns."""
    return read_summary(str(Path(patterns[0]).parent.parent))


def _checkpoint_folder(fn_args) -> Path:
    """Returns the folder of checkpoints, named by a hash of the training's settings, code, seed and inputs."""
    settings = dict(fn_args.custom_config)
    home = Path(settings.pop("home"))  # not hashed: it may have been moved since the training was stopped
    inputs = [*fn_args.train_files, *fn_args.eval_files, fn_args.transform_graph_path]
    identity = [settings, [str(Path(path).relative_to(home)) for path in inputs]]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return home / settings["checkpoints"] / key


def _files(patterns) -> list[str]:
    """Returns the files that match TFX's patterns, sorted."""
    return sorted(str(path) for pattern in patterns for path in Path(pattern).parent.glob(Path(pattern).name))
