"""The sum of the vectors of a set of things."""

import keras
from keras import ops


class EmbeddingBag(keras.layers.Layer):
    """Returns the sum of the vectors of each row's indices over the square root of their number, `(batch, dim)`.

    Takes int64 `(batch, length)`; 0 stands for nothing. A mean would make one telling word among many count little, a
    sum would make long texts certain of everything.

    Args:
        rows: Number of indices, 0 included.
        dim: Size of a vector.
        dropout: Share of the indices left out while training.
    """

    def __init__(self, rows: int, dim: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(rows, dim)
        self.dropout = keras.layers.Dropout(dropout)
        self.dim = dim

    def call(self, indices, training=None):
        """Returns float32 `(batch, dim)`."""
        there = ops.cast(indices > 0, self.compute_dtype)[..., None]  # (batch, length, 1)
        kept = self.dropout(there, training=training)
        vectors = ops.sum(self.embedding(indices) * kept, axis=1)  # (batch, dim)
        return vectors / ops.sqrt(1.0 + ops.sum(kept, axis=1))

    def compute_output_shape(self, input_shape):
        """Returns `(batch, dim)`."""
        return (input_shape[0], self.dim)
