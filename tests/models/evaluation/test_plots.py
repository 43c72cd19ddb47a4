import numpy as np

from models.evaluation.plots import confusion_matrix, most_confused, pixels, short


def test_the_confusion_matrix_is_a_picture():
    picture = pixels(confusion_matrix(np.array([[5, 1], [0, 4]]), ("cat", "dog")))

    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.std() > 10


def test_rows_of_the_shown_classes_are_shaded_by_the_share_of_all_rows_of_the_class():
    counts = np.array([[1, 0, 3], [0, 4, 0], [0, 0, 2]])

    (axes,) = confusion_matrix(counts, ("cat", "dog", "cow"), np.array([0, 1])).axes

    np.testing.assert_array_equal(axes.collections[0].get_array(), [[0.25, 0], [0, 1]])
    assert [text.get_text() for text in axes.texts] == ["1", "4"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]


def test_the_most_confused_of_many_classes_are_drawn():
    counts = np.diag(np.full(1000, 9))
    counts[3, 700] = counts[998, 3] = 2

    assert most_confused(counts, 3).tolist() == [3, 700, 998]
    assert len(most_confused(counts, 50)) == 50
    assert most_confused(np.eye(2, dtype=int), 50).tolist() == [0, 1]


def test_a_name_is_shortened_and_its_dollar_signs_are_escaped():
    assert short("$a$  b") == r"\$a\$ b"
    assert short("a" * 30, 10) == "a" * 9 + "…"
