import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't STOP, please!", ["don't", "stop", ",", "please", "!"]),
        ("ÄRGER über Fußball", ["ärger", "über", "fußball"]),
        ("我爱你 ok", ["我", "爱", "你", "ok"]),
        ("привет,мир", ["привет", ",", "мир"]),
        ("", []),
        ("  \n\t ", []),
        ("a b c d e f", ["a", "b", "c", "d"]),  # at most four words
    ],
)
def test_texts_are_split_into_words_in_any_script(text, words):
    import tensorflow as tf

    from models.tasks.text_classification.task import split_words

    (split,) = split_words(tf.constant([text]), 4 if text.startswith("a b") else 20).to_list()

    assert [word.decode() for word in split] == words


def test_invalid_utf_8_and_texts_of_a_million_characters_are_split():
    import tensorflow as tf

    from models.tasks.text_classification.task import split_words

    broken, long = split_words(tf.constant([b"ok \xff\xfe end", b"word " * 200_000]), 10).to_list()

    assert (broken[0], broken[-1]) == (b"ok", b"end")
    assert long == [b"word"] * 10


def test_character_ngrams_mark_the_ends_of_words():
    import tensorflow as tf

    from models.tasks.text_classification.task import split_parts, split_words

    parts = split_parts(split_words(tf.constant(["ab ü", "", "c"]), 9), (2, 3)).to_list()

    # <ab> has <a ab b> and <ab ab>; <ü> has <ü ü> and <ü>; <c> likewise.
    assert [[part.decode() for part in row] for row in parts] == [
        ["<a", "ab", "b>", "<ab", "ab>", "<ü", "ü>", "<ü>"],
        [],
        ["<c", "c>", "<c>"],
    ]


def test_a_bag_of_vectors_ignores_padding_and_order():
    import numpy as np

    from models.layers.embedding_bag import EmbeddingBag

    bag = EmbeddingBag(5, 3)
    bag_of_three, reordered, padding = np.asarray(bag(np.array([[1, 2, 2, 0], [2, 0, 1, 2], [0, 0, 0, 0]])))

    vectors = np.asarray(bag.embedding.embeddings)
    np.testing.assert_allclose(bag_of_three, (vectors[1] + 2 * vectors[2]) / 2, rtol=1e-5)  # over the root of 1 + 3
    np.testing.assert_allclose(bag_of_three, reordered, rtol=1e-5)
    assert not padding.any()
