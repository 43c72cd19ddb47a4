"""The registered tasks; a task's module is imported at its first use."""

import importlib

from models.config import TaskConfig

# Task name -> package below `models.tasks`, which holds config.py (light) and task.py (TensorFlow).
TASKS = {
    "image_classification": "models.tasks.image_classification",
    "tabular_classification": "models.tasks.tabular_classification",
    "tabular_regression": "models.tasks.tabular_regression",
    "text_classification": "models.tasks.text_classification",
    "sequence_classification": "models.tasks.sequence_classification",
    "recommendation": "models.tasks.recommendation",
}


def config_class(name: str) -> type[TaskConfig]:
    """Returns the settings class of a task without loading TensorFlow; raises KeyError for an unknown name."""
    return importlib.import_module(f"{TASKS[name]}.config").CONFIG


def title(name: str) -> str:
    """Returns the task's one-line description without loading TensorFlow."""
    return (config_class(name).__doc__ or "").strip().splitlines()[0]


def task(name: str):
    """Returns the `models.task.Task` of that name, which loads TensorFlow; raises KeyError for an unknown name."""
    return importlib.import_module(task_module(name)).TASK


def task_module(name: str) -> str:
    """Returns the module of a task, which is imported under this name only; raises KeyError for an unknown task."""
    return f"{TASKS[name]}.task"
