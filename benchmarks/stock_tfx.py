"""Another alternative: the same by TFX's own components, wired as its templates do. `stock_tfx.py DATA OUT EPOCHS`.

The images are PNG in TFRecords, as TensorFlow Datasets writes them; writing those is timed, as ingest is.
"""

import gzip
import io
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from PIL import Image
from tfx import v1 as tfx

DATA, OUT, EPOCHS = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])


def idx(name: str) -> np.ndarray:
    content = gzip.decompress((DATA / name).read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def write(split: str, images: np.ndarray, labels: np.ndarray) -> None:
    folder = OUT / "records" / split
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "data.tfrecord")) as writer:
        for image, label in zip(images, labels, strict=True):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG", compress_level=1)
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png.getvalue()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


AGAIN = len(sys.argv) > 4  # with nothing changed: the records exist already
images, labels = idx("train-images-idx3-ubyte.gz"), idx("train-labels-idx1-ubyte.gz")
if not AGAIN:
    write("train", images[5016:], labels[5016:])
    write("eval", images[:5016], labels[:5016])
    write("test", idx("t10k-images-idx3-ubyte.gz"), idx("t10k-labels-idx1-ubyte.gz"))

splits = [tfx.proto.Input.Split(name=name, pattern=f"{name}/*") for name in ("train", "eval", "test")]
examples = tfx.components.ImportExampleGen(input_base=str(OUT / "records"), input_config=tfx.proto.Input(splits=splits))
statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
validator = tfx.components.ExampleValidator(
    statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
)
module = str(Path(__file__).with_name("stock_module.py"))
transform = tfx.components.Transform(
    examples=examples.outputs["examples"], schema=schema.outputs["schema"], module_file=module
)
trainer = tfx.components.Trainer(
    module_file=module,
    examples=transform.outputs["transformed_examples"],
    transform_graph=transform.outputs["transform_graph"],
    schema=schema.outputs["schema"],
    train_args=tfx.proto.TrainArgs(splits=["train"]),
    eval_args=tfx.proto.EvalArgs(splits=["eval"]),
    custom_config={"epochs": EPOCHS},
)
eval_config = tfma.EvalConfig(
    model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key="label")],
    metrics_specs=[
        tfma.MetricsSpec(
            metrics=[
                tfma.MetricConfig(class_name="SparseCategoricalAccuracy"),
                tfma.MetricConfig(class_name="SparseCategoricalCrossentropy"),
                tfma.MetricConfig(class_name="ExampleCount"),
            ]
        )
    ],
    slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=["label"])],
)
evaluator = tfx.components.Evaluator(
    examples=examples.outputs["examples"],
    model=trainer.outputs["model"],
    eval_config=eval_config,
    example_splits=["test"],
)
pusher = tfx.components.Pusher(
    model=trainer.outputs["model"],
    model_blessing=evaluator.outputs["blessing"],
    push_destination=tfx.proto.PushDestination(
        filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(OUT / "serving"))
    ),
)
tfx.orchestration.LocalDagRunner().run(
    tfx.dsl.Pipeline(
        pipeline_name="fashion_mnist",
        pipeline_root=str(OUT / "artifacts"),
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(OUT / "db")),
        components=[examples, statistics, schema, validator, transform, trainer, evaluator, pusher],
        beam_pipeline_args=["--runner=FnApiRunner", "--direct_running_mode=in_memory"],
    )
)
print(json.dumps({"published": len(list((OUT / "serving").glob("*")))}))
