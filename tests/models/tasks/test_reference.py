"""Reference models of single tasks; the contract test has what all share."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from data.spec import (
    CategoryFeature,
    DatasetSpec,
    ImageFeature,
    LabelFeature,
    NumberFeature,
    TargetFeature,
    TextFeature,
)
from models.tasks.image_classification import reference as images
from models.tasks.reference import predict
from models.tasks.sequence_classification import letters_reference as sequences
from models.tasks.tabular import reference as tables
from models.tasks.text_classification import reference as texts
from models.tasks.text_classification.config import CONFIG

MIB = 2**20


def _spec(**features):
    return DatasetSpec(name="x", title="", licence="", features=features)


def _peak_mib(function) -> float:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["logistic_regression", "hist_gradient_boosting"])
def test_one_long_cell_takes_memory_once_not_for_each_row(name):
    """A cell of 200,000 bytes among 1,000 rows: as an array of fixed width they took 191 MiB, twice."""
    generator = np.random.default_rng(0)
    cells = np.array([None, b"a", b"b", b"c"] * 250, object)
    cells[7] = b"x" * 200_000
    frame = pd.DataFrame({"size": generator.normal(size=1000), "remark": cells})
    labels = pd.Series(generator.integers(0, 2, 1000))
    spec = _spec(size=NumberFeature(), remark=CategoryFeature(optional=True), y=LabelFeature(classes=("no", "yes")))
    preparation = tables.candidates(spec)[name].estimator[:-1]

    assert _peak_mib(lambda: preparation.fit(frame, labels)) < 20
    assert _peak_mib(lambda: preparation.transform(frame)) < 20


@pytest.mark.parametrize("name", ["naive_bayes", "logistic_regression"])
def test_memory_of_text_models_depends_on_the_words_in_the_data(name):
    """40 short texts in 20 classes: with a weight for each hash and class they took 160 and 1,400 MiB."""
    words = [f"word{number % 20} other{number}" for number in range(40)]
    frame, labels = pd.DataFrame({"text": [text.encode() for text in words]}), pd.Series(np.arange(40) % 20)
    classes = tuple(str(number) for number in range(20))
    model = texts.candidates(_spec(text=TextFeature(), y=LabelFeature(classes=classes)))[name].estimator

    assert _peak_mib(lambda: model.fit(frame, labels)) < 40
    new_texts = pd.DataFrame({"text": [b"word3 unheard of", b"word11"]})
    assert predict(model, new_texts, 20).argmax(axis=1).tolist() == [3, 11]


def test_texts_without_words_can_be_learned():
    frame, labels = pd.DataFrame({"text": [b"", None, b"", b"!"]}), pd.Series([0, 1, 0, 0])

    for candidate in texts.candidates(_spec(text=TextFeature(), y=LabelFeature(classes=("a", "b")))).values():
        scores = predict(candidate.estimator.fit(frame, labels), frame, 2)
        assert scores.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_a_constant_of_the_second_class_has_its_f1_score():
    frame, labels = pd.DataFrame({"text": [b"a"] * 10}), pd.Series([0] * 7 + [1] * 3)
    spec = _spec(text=TextFeature(), y=LabelFeature(classes=("ham", "spam")))
    score = CONFIG().compared(spec)["f1@spam"]

    trivial = {
        name: candidate.estimator.fit(frame, labels)
        for name, candidate in texts.candidates(spec).items()
        if candidate.trivial
    }

    scores = {name: score.value(labels.to_numpy(), predict(model, frame, 2)) for name, model in trivial.items()}
    # Three of ten are spam: precision 0.3, recall 1.
    assert scores == {"majority": 0.0, "always_second_class": pytest.approx(2 * 0.3 / 1.3)}


def test_the_trivial_models_of_numbers_are_mean_and_median():
    frame, target = pd.DataFrame({"size": [0.0, 0.0, 0.0]}), pd.Series([1.0, 2.0, 9.0])
    candidates = tables.candidates(_spec(size=NumberFeature(), price=TargetFeature()))

    trivial = {
        name: candidate.estimator.fit(frame, target).predict(frame)[0]
        for name, candidate in candidates.items()
        if candidate.trivial
    }
    assert trivial == {"mean": 4.0, "median": 2.0}


@pytest.mark.parametrize("name", ["naive_bayes", "logistic_regression", "character_logistic_regression"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("这家餐厅的菜很好吃服务也周到", "这家餐厅的菜很难吃服务也糟糕"),
        ("อาหารร้านนี้อร่อยมากบริการดี", "อาหารร้านนี้ไม่อร่อยเลยบริการแย่"),
        ("यह फ़िल्म बहुत अच्छी थी", "यह फ़िल्म बहुत बुरी थी"),
    ],
    ids=["chinese", "thai", "hindi"],
)
def test_texts_of_any_script_are_learned(name, good, bad):
    """Texts are a sentence with other letters in the middle: a model without its words could only guess."""
    noise = ["".join(good[(number * 7 + index) % len(good)] for index in range(3)) for number in range(60)]
    rows = [f"{text[:8]}{text[8:]}{extra}" for extra in noise for text in (good, bad)]
    frame, labels = pd.DataFrame({"text": [row.encode() for row in rows]}), pd.Series([1, 0] * 60)
    model = texts.candidates(_spec(text=TextFeature(), y=LabelFeature(classes=("bad", "good"))))[name].estimator

    model.fit(frame[:80], labels[:80])

    assert predict(model, frame[80:], 2).argmax(axis=1).tolist() == labels[80:].tolist()


def test_a_vowel_sign_is_part_of_its_word():
    assert texts._words("हिन्दी में") == ["हिन्दी", "में"]
    assert texts._words("die Straße, 2 Äpfel") == ["die", "Straße", "2", "Äpfel"]
    assert texts._words("我爱 python3") == ["我", "爱", "python3"]


@pytest.mark.parametrize("classes", [2, 10, 31, 150, 1000])
def test_the_cost_of_reference_models_is_bounded_for_any_number_of_classes(classes):
    """150 classes of 2,393 rows took 1,282 s: boosting grew a tree for each class and iteration."""
    label = LabelFeature(classes=tuple(map(str, range(classes))))

    for candidates in (
        tables.candidates(_spec(size=NumberFeature(), y=label)),
        texts.candidates(_spec(text=TextFeature(), y=label)),
        images.candidates(_spec(image=ImageFeature(height=28, width=28, channels=1), y=label)),
        sequences.candidates(_spec(text=TextFeature(), y=label)),
    ):
        for name, candidate in candidates.items():
            model = candidate.estimator[-1] if hasattr(candidate.estimator, "steps") else candidate.estimator
            assert candidate.max_rows, name
            if isinstance(model, HistGradientBoostingClassifier):
                trees = model.max_iter * (classes if classes > 2 else 1)
                assert trees <= 3000
                assert trees * candidate.max_rows <= 1e8
            if isinstance(model, LogisticRegression):
                assert model.max_iter * classes <= 100_000
                assert candidate.max_rows * classes <= 5_000_000
            if isinstance(model, SVC):
                assert classes <= 200


def test_a_forest_learns_150_classes():
    generator = np.random.default_rng(0)
    centres, labels = generator.normal(size=(150, 4)), np.arange(1200) % 150
    values = centres[labels] + 0.05 * generator.normal(size=(1200, 4))
    frame = pd.DataFrame(values, columns=list("abcd"))
    frame.loc[::50, "a"] = np.nan
    label = LabelFeature(classes=tuple(map(str, range(150))))
    candidates = tables.candidates(_spec(**{name: NumberFeature(optional=True) for name in "abcd"}, y=label))

    model = candidates["random_forest"].estimator.fit(frame[:900], pd.Series(labels[:900]))

    assert (predict(model, frame[900:], 150).argmax(axis=1) == labels[900:]).mean() > 0.8


@pytest.mark.parametrize("name", ["logistic_regression", "hist_gradient_boosting"])
def test_encoders_give_the_same_for_codes_and_for_texts(name):
    """With missing, empty, rare and new texts, and more values than a category may have."""
    generator = np.random.default_rng(0)
    cells = np.array([None, b"", *(f"v{number}".encode() for number in range(600))], object)
    train, test = cells[generator.integers(0, 400, 3000)], cells[generator.integers(0, 602, 500)]
    spec = _spec(a=CategoryFeature(optional=True), y=LabelFeature(classes=("no", "yes")))
    encoder = tables.candidates(spec)[name].estimator[:-1]
    plain_encoder = clone(encoder[0].transformers[0][1][-1])

    encoded = encoder.fit(pd.DataFrame({"a": train})).transform(pd.DataFrame({"a": test}))

    filled = [np.array([cell or b"" for cell in column], object)[:, None] for column in (train, test)]
    expected = plain_encoder.fit(filled[0]).transform(filled[1])
    pairs = [matrix.toarray() if hasattr(matrix, "toarray") else matrix for matrix in (encoded, expected)]
    assert np.array_equal(*pairs, equal_nan=True)
