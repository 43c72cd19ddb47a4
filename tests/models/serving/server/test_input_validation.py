import numpy as np
import pytest

from data.spec import (
    BooleanFeature,
    CategoryFeature,
    DatasetSpec,
    DateFeature,
    ImageFeature,
    LabelFeature,
    NumberFeature,
    SequenceFeature,
    TextFeature,
)
from models.serving.protocol import input_rules
from models.serving.protocol.statuses import ServingStatus
from models.serving.server import input_validation
from models.serving.server.monitoring import Metrics

SPEC = DatasetSpec(
    name="made_up",
    title="",
    licence="",
    features={
        "age": NumberFeature(min=0, max=0.1),
        "weight": NumberFeature(optional=True),
        "city": CategoryFeature(values=("Bern", "Genève")),
        "note": TextFeature(optional=True),
        "seen": DateFeature(),
        "photo": ImageFeature(height=2, width=2, channels=1),
        "member": BooleanFeature(optional=True),
        "left": LabelFeature(classes=("no", "yes")),
    },
)
COLUMNS = {"age": "age", "weight": "weight", "city": "city", "note": "note", "seen": "seen", "image_bytes": "photo"}
GOOD = {"age": 0.1, "city": b"Bern", "seen": 5, "photo": b"1234"}


class Version:
    """What is looked at of a servable."""

    name = "m"

    def __init__(self, path):
        self.path = path


@pytest.fixture
def check(tmp_path):
    """Returns a function that validates a request."""
    input_rules.write(tmp_path, SPEC, {"serving_default": {"inputs": input_rules.EXAMPLES}, "columns": COLUMNS})
    metrics = Metrics()
    one = input_validation.InputValidator(metrics)

    def look(signature, **arrays):
        one(Version(tmp_path), signature, {key: _array(value) for key, value in arrays.items()})

    look.metrics = metrics
    return look


def _array(values):
    if isinstance(values[0], bytes):
        array = np.empty(len(values), object)
        array[:] = values
        return array
    return np.array(values, np.int64 if isinstance(values[0], int) else np.float32)


def _example(**values):
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in {**GOOD, **values}.items():
        if value is None:
            continue
        feature = example.features.feature[name]
        kind = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}[type(value)]
        kind.value.append(value)
    return example.SerializeToString()


def test_allowed_values_pass(check):
    check("serving_default", inputs=[_example(), _example(weight=float(7), note=b"x", member=1.0)])
    check("columns", age=[0.0, 0.1], weight=[float("nan"), 3.0], city=["Genève".encode(), b"Bern"], note=[b"", b"a"],
          seen=[1, 2], image_bytes=[b"png", b"jpeg"])  # fmt: skip
    check("unknown", anything=[1.0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"age": None}, "row 1, age: is missing"),
        ({"age": float("nan")}, "row 1, age: expected a finite number, found NaN"),
        ({"weight": float("-inf")}, "row 1, weight: expected a finite number, found -Infinity"),
        ({"age": 0.2}, "row 1, age: expected at most 0.1, found 0.2"),
        ({"age": -1.0}, "row 1, age: expected at least 0, found -1"),
        ({"city": b"Rome"}, "row 1, city: expected one of Bern, Genève; found 'Rome'"),
        ({"note": b"\xff"}, "row 1, note: expected UTF-8 text, found other bytes"),
        ({"photo": b"123"}, "row 1, photo: expected 4 bytes of pixels, found 3"),
        ({"age": b"1"}, "row 1, age: expected a float_list, found a bytes_list"),
    ],
)
def test_examples_with_values_that_are_not_allowed_are_refused_with_row_and_feature(check, values, words):
    with pytest.raises(ServingStatus) as error:
        check("serving_default", inputs=[_example(), _example(**values)])

    assert (error.value.code.name, error.value.message) == ("INVALID_ARGUMENT", f"Input validation: {words}.")


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("age", [0.0, float("nan")], "row 1, age: is missing"),
        ("age", [float("inf"), 0.0], "row 0, age: expected a finite number, found Infinity"),
        ("city", [b"Bern", b""], "row 1, city: is missing"),
        ("city", [b"Rome", b"Bern"], "row 0, city: expected one of Bern, Genève; found 'Rome'"),
        ("seen", [input_validation.MISSING_INT, 3], "row 0, seen: is missing"),
        ("image_bytes", [b""], "row 0, photo: is missing"),
    ],
)
def test_columns_with_values_that_are_not_allowed_are_refused_with_row_and_feature(check, column, values, words):
    with pytest.raises(ServingStatus) as error:
        check("columns", **{column: values})

    assert error.value.message == f"Input validation: {words}."


def test_many_problems_are_counted_and_the_first_five_are_shown(check):
    with pytest.raises(ServingStatus, match=r"row 4, age: .*; and 3 more\.$"):
        check("columns", age=[2.0] * 8)

    assert ':headrace:serving:input_guard_refusals{model_name="m",feature="age"} 8' in check.metrics.text()


def test_bytes_that_are_no_example_are_refused_by_tensorflow(check):
    check("serving_default", inputs=[b"\xff\xff"])


def test_sequences_in_rectangular_arrays_are_validated_up_to_their_padding(tmp_path):
    features = {"s": SequenceFeature(width=2, max_length=2, max=9), "c": SequenceFeature(of="category", optional=True)}
    spec = DatasetSpec(name="m", title="", licence="", features=features)
    input_rules.write(tmp_path, spec, {"columns": {"s": "s", "c": "c"}})
    validate = input_validation.InputValidator(Metrics())
    nan = float("nan")
    rows = [
        [[1, 2], [nan, nan], [nan, nan]],
        [[nan, nan]] * 3,
        [[1, 2], [3, 4], [5, 6]],
        [[1, 10], [nan, nan], [nan, nan]],
        [[1, 2], [3, nan], [nan, nan]],
        [[nan, 2], [3, 4], [nan, nan]],
    ]
    categories = np.array([[b"x", b""], *[[b"", b""]] * 5], object)

    with pytest.raises(ServingStatus) as caught:
        validate(Version(tmp_path), "columns", {"s": np.array(rows, np.float32), "c": categories})

    assert str(caught.value).partition("validation: ")[2] == (
        "row 1, s: is missing; row 2, s: expected at most 2 steps, found 3; "
        "row 3, s: expected at most 9, found 10; row 4, s: expected 2 values a step, found 3; "
        "row 5, s: expected a finite number, found NaN."
    )
    validate(Version(tmp_path), "columns", {"s": np.array(rows[:1], np.float32), "c": categories[:1]})
