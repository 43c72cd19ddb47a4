"""The alternative: Fashion-MNIST by a plain Keras script. `plain_keras.py DATA OUT EPOCHS`.

The same network, optimizer, schedule, batch and files as `headrace run fashion_mnist --set model.flip=false`.
"""

import gzip
import json
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

DATA, OUT, EPOCHS = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
BATCH = 128


def idx(name: str) -> np.ndarray:
    content = gzip.decompress((DATA / name).read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


keras.utils.set_random_seed(0)
images = idx("train-images-idx3-ubyte.gz")[..., None].astype("float32") / 255
labels = idx("train-labels-idx1-ubyte.gz")
test_images = idx("t10k-images-idx3-ubyte.gz")[..., None].astype("float32") / 255
test_labels = idx("t10k-labels-idx1-ubyte.gz")
train, validation = slice(5016, None), slice(0, 5016)

inputs = keras.Input((28, 28, 1))
x = inputs
for filters in (16, 64, 128):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Activation("relu")(x)
x = layers.Dropout(0.3)(layers.Flatten()(x))
model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))

steps = -(-len(images[train]) // BATCH)
rate = keras.optimizers.schedules.CosineDecay(
    0.0, max(EPOCHS * steps - steps // 2, 1), warmup_target=0.003, warmup_steps=steps // 2
)
model.compile(
    keras.optimizers.AdamW(rate, weight_decay=0.05),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
    jit_compile=False,
)
model.fit(
    images[train],
    labels[train],
    batch_size=BATCH,
    epochs=EPOCHS,
    validation_data=(images[validation], labels[validation]),
    verbose=0,
)
loss, accuracy = model.evaluate(test_images, test_labels, batch_size=512, verbose=0)
model.export(OUT / "model", verbose=False)
print(json.dumps({"accuracy": accuracy, "loss": loss}))
