import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow  # loads TensorFlow


# In a process of its own: logical devices must be made before TensorFlow starts.
MIRRORED = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.models.tiny import job
from models import progress
from models.training.devices import choose_strategy
from models.training.trainer import train
import sys
assert choose_strategy("mirrored").num_replicas_in_sync == 2
reports = []
with progress.listening(reports.append):
    history = train(job(sys.argv[1], strategy="mirrored", precision="mixed_bfloat16", epochs=3)).history
assert history["loss"][-1] < history["loss"][0], history
tf.saved_model.load(sys.argv[1] + "/model").signatures["serving_default"]
ends = [report for report in reports if report.get("done") or report.get("exporting")]
print("trained", [report.get("epoch", "exporting") for report in ends])
"""


def test_a_model_trains_and_exports_on_two_mirrored_devices_in_mixed_precision(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", MIRRORED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert process.returncode == 0, process.stderr[-2000:]
    assert process.stdout.strip() == "trained [1, 2, 3, 'exporting']"


def _weights(model_folder):
    """Returns the float32 values of a SavedModel's variables, concatenated."""
    import numpy as np
    import tensorflow as tf

    variables = tf.train.load_checkpoint(f"{model_folder}/variables/variables")
    values = [np.ravel(variables.get_tensor(key)) for key in sorted(variables.get_variable_to_shape_map())]
    return np.concatenate([value for value in values if value.dtype == np.float32])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    import numpy as np

    from models.training.trainer import train
    from tests.models import tiny

    def weights(name, seed):
        (tmp_path / name).mkdir()
        train(tiny.job(tmp_path / name, seed=seed, epochs=2))
        return _weights(f"{tmp_path}/{name}/model")

    first, again, other = weights("a", 1), weights("b", 1), weights("c", 2)

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path):
    from data.errors import ModelError
    from models.training.trainer import train
    from tests.models import tiny

    with pytest.raises(
        ModelError, match=r"Training stopped: loss became (nan|inf) in epoch 1; lower train.learning_rate"
    ):
        train(tiny.job(tmp_path, learning_rate=1e38, learning_rate_schedule="constant", optimizer="sgd", epochs=1))


def test_large_batches_of_categories_give_the_same_weights_twice(tmp_path):
    import shutil
    from dataclasses import replace

    import numpy as np

    from models.training.trainer import train
    from tests.models import tiny

    # 24,000 rows in large batches, whose sums TensorFlow shares out among threads.
    job = tiny.job(tmp_path, "tabular_classification", epochs=1, batch_size=4096)
    job = replace(job, train_files=[*job.train_files] * 500, num_rows={**job.num_rows, "train": 24_000})

    def weights():
        train(job)
        values = _weights(job.model_folder)
        shutil.rmtree(job.model_folder)
        return values

    np.testing.assert_array_equal(weights(), weights())


def test_a_training_step_is_traced_once(tmp_path):
    from dataclasses import replace

    import keras

    from models.training.input import file_batches
    from models.training.trainer import _compiled
    from tests.models import tiny

    job, traces = tiny.job(tmp_path), []

    def loss(labels, scores):
        traces.append(labels)
        return keras.losses.sparse_categorical_crossentropy(labels, scores)

    model = _compiled(replace(job, task=replace(job.task, loss=lambda config, spec: loss)), steps_per_epoch=3)
    model.fit(file_batches(job, job.train_files), steps_per_epoch=1, shuffle=False, verbose=0)

    assert len(traces) == 1


def test_the_end_of_the_first_step_is_recorded_and_of_no_later_one(tmp_path):
    from models.training.callbacks import NoteFirstStep
    from models.training.trainer import train
    from tests.models import tiny

    callback, before = NoteFirstStep(), time.time()
    callback.on_train_batch_end(0)
    first = callback.ended
    callback.on_train_batch_end(1)
    trained = train(tiny.job(tmp_path, epochs=1))

    assert before <= first == callback.ended <= trained.first_step <= time.time()
