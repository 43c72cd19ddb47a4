"""What TFX's Transform calls by its dotted name: an adapter from its arguments to a task's preprocessing.

`custom_config` is what `pipeline.running.wiring` put there: names and settings as JSON values. In a module of its own:
what the training imports is no part of the preprocessing's cache key.
"""

from data.spec import DatasetSpec
from models import registry


def preprocessing_fn(inputs, custom_config):
    """TFX Transform's entry: the task's preprocessing."""
    task = registry.task(custom_config["task"])
    spec = DatasetSpec.model_validate(custom_config["spec"])
    return task.preprocessing_fn(inputs, task.config.model_validate(custom_config["config"]), spec)
