import numpy as np
import pytest

from data.spec import DatasetSpec, LabelFeature, TextFeature
from models.tasks.sequence_classification.config import SequenceClassificationConfig

pytestmark = pytest.mark.slow  # loads TensorFlow

SPEC = DatasetSpec(name="x", title="", licence="", features={"s": TextFeature(), "y": LabelFeature(classes=("a", "b"))})
CONFIG = SequenceClassificationConfig(length=12, dense_units=4)


def test_letters_become_positions_in_the_alphabet_and_others_0():
    import tensorflow as tf

    from models.tasks.sequence_classification.task import preprocessing_fn

    raw = {"s": tf.constant(["acgtN-", "", "GGGGGGGGGGGGTTTT"]), "y": tf.constant([0, 1, 0], tf.int64)}

    letters = preprocessing_fn(raw, CONFIG, SPEC)["letters"].numpy()

    assert letters.tolist() == [[1, 2, 3, 4] + [0] * 8, [0] * 12, [3] * 12]


def test_a_sequence_and_its_reverse_complement_get_the_same_prediction():
    from models.tasks.sequence_classification.task import build_model

    model = build_model(CONFIG, SPEC)
    forward = np.array([[1, 2, 3, 4, 1, 1, 2, 2, 3, 3, 4, 1]])
    scores = [model.predict({"letters": letters}, verbose=0) for letters in (forward, 5 - forward[:, ::-1])]

    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_both_strands_need_the_alphabet_of_dna():
    with pytest.raises(ValueError, match=r"model\.both_strands: expected alphabet ACGT, found 'ab'"):
        SequenceClassificationConfig(alphabet="ab").check_features(SPEC)


def test_windows_are_coding_inside_a_gene_and_noncoding_outside_all():
    from data.catalog.genes import _windows

    genes = "chrI\tSGD\tCDS\t101\t400\t.\t+\t0\tID=x\nchrI\tSGD\tgene\t1\t900\t.\t+\t.\tID=y\n"

    kinds = {begin: kind for _, begin, _, kind in _windows("chrI", "A" * 700, genes)}

    # Bases 100 to 399 are coding: windows that begin at 100 to 200 lie inside, from 400 on outside.
    assert kinds == {**dict.fromkeys(range(100, 201, 25), "coding"), **dict.fromkeys(range(400, 501, 25), "noncoding")}
