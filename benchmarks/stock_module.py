"""The user module of stock TFX for Fashion-MNIST: preprocessing and training."""

import keras
import tensorflow as tf
import tensorflow_transform as tft
from keras import layers

BATCH = 128


def preprocessing_fn(inputs):
    image = tf.map_fn(tf.io.decode_png, inputs["image"][:, 0], fn_output_signature=tf.uint8)
    image = tf.reshape(image, (-1, 28, 28, 1))
    return {"image": tf.cast(image, tf.float32) / 255.0, "label": inputs["label"]}


class _Served(tf.Module):
    def __init__(self, model, transform):
        super().__init__()
        self.model, self.layer = model, transform.transform_features_layer()
        features = transform.raw_feature_spec()
        self._features = {"image": features["image"]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="examples")])
    def serve(self, examples):
        features = tf.io.parse_example(examples, self._features)
        return {"scores": self.model(self.layer(features)["image"], training=False)}


def run_fn(fn_args):
    keras.utils.set_random_seed(0)
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    from tfx_bsl.public import tfxio

    def batches(files, repeat):
        options = tfxio.TensorFlowDatasetOptions(batch_size=BATCH, label_key="label", num_epochs=None if repeat else 1)
        dataset = fn_args.data_accessor.tf_dataset_factory(files, options, transform.transformed_metadata.schema)
        return dataset.map(lambda features, label: (features["image"], label))

    inputs = keras.Input((28, 28, 1))
    x = inputs
    for filters in (16, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    epochs, steps = fn_args.custom_config["epochs"], 55_000 // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - steps // 2, warmup_target=0.003, warmup_steps=steps // 2
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.05),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.fit(
        batches(fn_args.train_files, repeat=True),
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=batches(fn_args.eval_files, repeat=False),
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir)],
        verbose=0,
    )
    served = _Served(model, transform)
    tf.saved_model.save(served, fn_args.serving_model_dir, signatures={"serving_default": served.serve})
