"""Settings of tabular classification; loads no TensorFlow."""

from data.spec import DatasetSpec, LabelFeature
from models.tasks.classification_config import ClassificationConfig
from models.tasks.tabular.config import TabularConfig


class TabularClassificationConfig(ClassificationConfig, TabularConfig):
    """One class out of several for a row of numbers, categories, booleans and dates, by a wide and deep network."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one label and at least one input."""
        spec.only(LabelFeature)
        self.check_columns(spec)


CONFIG = TabularClassificationConfig
