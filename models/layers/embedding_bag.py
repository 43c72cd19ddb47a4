"""The normalized sum of the embeddings of a set of indices."""

import keras
from keras import ops


class EmbeddingBag(keras.layers.Layer):
    """Returns the sum of the vectors of each row's indices over the root of one plus their number, `(batch, dim)`.

    Takes int64 `(batch, length)`; 0 is padding. In a mean one informative word among many would have little weight; a
    plain sum would make predictions for long texts too confident.

    Args:
        rows: Number of indices, 0 included.
        dim: Size of a vector.
        dropout: Share of the indices dropped in training.
    """

    def __init__(self, rows: int, dim: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(rows, dim)
        self.dropout = keras.layers.Dropout(dropout)
        self.dim = dim

    def call(self, indices, training=None):
        """Returns float32 `(batch, dim)`."""
        mask = ops.cast(indices > 0, self.compute_dtype)[..., None]  # (batch, length, 1)
        kept = self.dropout(mask, training=training)
        vectors = ops.sum(self.embedding(indices) * kept, axis=1)  # (batch, dim)
        return vectors / ops.sqrt(1.0 + ops.sum(kept, axis=1))

    def compute_output_shape(self, input_shape):
        """Returns `(batch, dim)`."""
        return (input_shape[0], self.dim)
