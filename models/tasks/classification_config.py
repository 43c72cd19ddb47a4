"""Settings of every task that predicts one class of several; loads no TensorFlow."""

from data.spec import DatasetSpec, LabelFeature
from models.config import TaskConfig


class ClassificationConfig(TaskConfig):
    """Settings of classification: its metrics."""

    def metrics(self, spec: DatasetSpec) -> tuple:
        """Returns accuracy, loss, calibration; of two classes the area under the ROC curve; precision, recall and F1
        of each class.
        """
        from models.evaluation.metrics import classification

        _, label = spec.only(LabelFeature)
        return classification(label.classes)
