import numpy as np
import pytest

from data.spec import CategoryFeature, DatasetSpec, DateFeature, ImageFeature, LabelFeature, NumberFeature, TextFeature

pytestmark = pytest.mark.slow  # loads TensorFlow

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={
        "image": ImageFeature(height=2, width=2, channels=1),
        "size": NumberFeature(optional=True),
        "seen": DateFeature(),
        "plan": CategoryFeature(),
        "note": TextFeature(),
        "label": LabelFeature(classes=("cat", "dog")),
    },
)
ROW = {
    "image": np.array([[[1], [2]], [[3], [4]]], np.uint8),
    "seen": 1_700_000_000,
    "plan": "é",
    "note": b"as it is stored",
    "label": 1,
}
STORED = {**ROW, "image": b"\1\2\3\4", "plan": "é".encode()}


def test_an_image_is_stored_as_its_raw_bytes():
    import tensorflow as tf

    from data.examples import encode

    feature = tf.train.Example.FromString(encode(ROW, SPEC)).features.feature

    assert feature["image"].bytes_list.value[0] == b"\1\2\3\4"
    assert list(feature["label"].int64_list.value) == [1]
    assert "size" not in feature


def test_a_row_is_decoded_as_stored_values_which_encode_to_the_same_bytes():
    from data.examples import decode, encode

    serialized = encode({**ROW, "size": 0.5}, SPEC)

    assert decode(serialized, SPEC) == {**STORED, "size": 0.5}
    assert encode({**STORED, "size": 0.5}, SPEC) == serialized


def test_a_client_sends_no_targets():
    from data.examples import decode, encode

    assert "label" not in decode(encode(ROW, SPEC, targets=False), SPEC)


@pytest.mark.parametrize("serialized", [b"\xff\xff", "text", 3])
def test_bytes_that_are_no_example_raise_a_value_error(serialized):
    from data.examples import parse

    with pytest.raises(ValueError, match=r"parsing|expected bytes"):
        parse(serialized)


def test_a_record_that_is_no_example_is_an_unusable_row(tmp_path):
    import tensorflow as tf

    from data.examples import encode
    from data.sources import tfrecord

    path = tmp_path / "rows.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(encode({"plan": "a"}, SPEC))
        writer.write(b"\xff\xff")

    good, bad = tfrecord.read(path)

    assert (good.cells, good.problem) == ({"plan": b"a"}, None)
    assert str(bad.problem).startswith(f"{path}:2: expected a tf.train.Example, found 2 bytes that are none (")
