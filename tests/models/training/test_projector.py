"""The vectors for TensorBoard's projector."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


def test_many_dimensions_are_reduced_to_principal_components():
    from models.training.projector import MAX_DIM, _reduced

    # Sixteen vectors of 100 numbers; they differ in two directions, by 8 and by 2.
    vectors = np.full((16, 100), 5.0, np.float32)
    vectors[:, 40] += np.tile([4, 4, -4, -4], 4)
    vectors[:, 90] += np.tile([1, -1, 1, -1], 4)

    reduced = _reduced(vectors)

    assert reduced.shape == (16, 16)
    assert reduced.shape[1] <= MAX_DIM
    np.testing.assert_allclose(np.abs(reduced[:, 0]), 4, rtol=1e-6)
    np.testing.assert_allclose(np.abs(reduced[:, 1]), 1, rtol=1e-6)
    np.testing.assert_allclose(reduced[:, 2:], 0, atol=1e-6)


def test_vectors_of_few_dimensions_stay_as_they_are():
    from models.training.projector import MAX_DIM, _reduced

    vectors = np.arange(3 * MAX_DIM, dtype=np.float32).reshape(3, MAX_DIM)

    assert _reduced(vectors) is vectors
