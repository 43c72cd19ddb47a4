"""Original picture files in the serving check: which it accepts, and which it refuses."""

import io

import numpy as np
import pytest
from PIL import Image

from data import pictures
from data.errors import ServingError
from data.spec import DatasetSpec, ImageFeature, LabelFeature, Row
from tests.data.made_pictures import of_every_mode, photo, saved

pytestmark = pytest.mark.slow  # loads TensorFlow

SHAPE = (4, 6, 3)
SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={
        "image": ImageFeature(height=SHAPE[0], width=SHAPE[1], channels=SHAPE[2]),
        "label": LabelFeature(classes=tuple(map(str, range(72)))),
    },
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """Returns the folder of a SavedModel with the task's signatures; its scores are the pixels."""
    import tensorflow as tf

    from models.tasks.image_classification.config import ImageClassificationConfig
    from models.tasks.image_classification.task import signatures

    class Served(tf.Module):
        def predict_raw(self, raw):
            return tf.cast(tf.io.decode_raw(raw["image"], tf.uint8), tf.float32)

        def predict_examples(self, serialized):
            return self.predict_raw(tf.io.parse_example(serialized, {"image": tf.io.FixedLenFeature((), tf.string)}))

    folder, served = str(tmp_path_factory.mktemp("model")), Served()
    tf.saved_model.save(served, folder, signatures=signatures(served, ImageClassificationConfig(), SPEC))
    return folder


def _row(pixels: np.ndarray) -> Row:
    return {"image": pixels.tobytes(), "label": 0}


def _predict(model: str, files: list[bytes], pixels: list[np.ndarray]):
    """Predicts a row of pixels, and original files with the pixels that are stored of them."""
    from components.serving_check import predict_rows
    from models.tasks.image_classification.config import ImageClassificationConfig
    from models.tasks.image_classification.task import TASK

    rows = [_row(np.asarray(photo(*SHAPE[:2])))]
    originals = [(_row(stored), {"image": file, "label": 0}) for file, stored in zip(files, pixels, strict=True)]
    return predict_rows(model, rows, TASK, ImageClassificationConfig(), SPEC, originals)


def test_files_have_the_predictions_of_the_pixels_that_ingest_stores(model):
    files = list(of_every_mode(30, 20).values())

    inputs, outputs = _predict(model, files, [pictures.decode(file, SHAPE) for file in files])

    assert inputs["image_bytes"]["image_bytes"].tolist()[1:] == files
    np.testing.assert_array_equal(outputs["image_bytes"]["scores"], outputs["serving_default"]["scores"])


def test_pixels_of_another_resizer_are_refused(model):
    file = saved(photo(30, 20), "PNG")
    resized = Image.open(io.BytesIO(file)).resize((SHAPE[1], SHAPE[0]), Image.Resampling.BICUBIC)

    with pytest.raises(ServingError) as error:
        _predict(model, [file], [np.asarray(resized)])

    assert "serving_default and image_bytes disagree on scores by" in str(error.value)
    assert "for an original file and the pixels that ingest made of it" in str(error.value)


def test_pixels_that_ignore_the_exif_orientation_are_refused(model):
    file = saved(photo(SHAPE[0], SHAPE[1]), "JPEG", orientation=3)

    with pytest.raises(ServingError, match="an original file and the pixels"):
        _predict(model, [file], [np.asarray(Image.open(io.BytesIO(file)))])
