"""Settings of image classification; loads no TensorFlow."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from data.spec import DatasetSpec, ImageFeature, LabelFeature
from models.config import Activation, Fraction
from models.tasks.classification_config import ClassificationConfig


class ImageClassificationConfig(ClassificationConfig):
    """One class out of several for a whole image, by a convolutional network."""

    filters: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 64, 128)
    """Channels of each convolution block; a block is convolution, 2x2 max pooling, batch normalization, activation."""
    kernel_size: PositiveInt = 3
    """Height and width of the convolutions, in pixels."""
    dense_units: tuple[PositiveInt, ...] = ()
    """Sizes of the dense layers between the last block and the output."""
    global_pooling: bool = False
    """Whether the last block is averaged over the image instead of flattened."""
    activation: Activation = "relu"
    """Keras's name of the activation after every hidden layer."""
    dropout: Fraction = 0.3
    """Share of units dropped before every dense layer while training."""
    loss: Literal["sparse_categorical_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy"] = (
        "sparse_categorical_crossentropy"
    )
    """Keras's name of the loss."""
    label_smoothing: Fraction = 0.0
    """Share of each label spread over all classes; not for sparse_categorical_crossentropy."""
    flip: bool = False
    """Augmentation: mirror half of the training images left to right."""
    shift_px: NonNegativeInt = 0
    """Augmentation: shift training images by up to this many pixels each way."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one image, one label and nothing else."""
        spec.only(ImageFeature)
        spec.only(LabelFeature)
        if len(spec.features) != 2:
            raise ValueError(f"expected an image and a label, found {', '.join(spec.features)}; use data.ignore.")


CONFIG = ImageClassificationConfig
