"""TFX's own taxi template, and its wheel's schema, on our split of the data set `taxi`: `stock_taxi.py OUT STEPS`.

Prints JSON: the area under the ROC curve on the test split. 1,000 steps are what the template's pipeline takes.
"""

import csv
import importlib.util
import json
import sys
from pathlib import Path

import tensorflow as tf
from sklearn.metrics import roc_auc_score
from tfx import v1 as tfx

from data.catalog.taxi import INSIDE_TFX, SPLIT

OUT, STEPS = Path(sys.argv[1]), int(sys.argv[2])
PACKAGE = Path(importlib.util.find_spec("tfx").submodule_search_locations[0])
SCHEMA = "examples/chicago_taxi_pipeline/data/user_provided_schema/schema.pbtxt"
TEMPLATE = "tfx.examples.chicago_taxi_pipeline.taxi_utils"


def write_splits() -> None:
    """Writes the table's rows, those with a fare, by our split."""
    with (PACKAGE / INSIDE_TFX).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fare"]]
    names = {"train": "train", "validation": "eval", "test": "test"}
    for split, name in names.items():
        (OUT / "rows" / name).mkdir(parents=True)
        with (OUT / "rows" / name / "data.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            for row in rows:
                if SPLIT(row) == split:
                    writer.writerow(row)


write_splits()
splits = [tfx.proto.Input.Split(name=name, pattern=f"{name}/*") for name in ("train", "eval", "test")]
examples = tfx.components.CsvExampleGen(input_base=str(OUT / "rows"), input_config=tfx.proto.Input(splits=splits))
# The schema of the template: one inferred from this split lacks a column that the template's code needs.
schema = tfx.components.ImportSchemaGen(schema_file=str(PACKAGE / SCHEMA))
transform = tfx.components.Transform(
    examples=examples.outputs["examples"],
    schema=schema.outputs["schema"],
    preprocessing_fn=f"{TEMPLATE}.preprocessing_fn",
)
trainer = tfx.components.Trainer(
    run_fn=f"{TEMPLATE}.run_fn",
    examples=transform.outputs["transformed_examples"],
    schema=schema.outputs["schema"],
    transform_graph=transform.outputs["transform_graph"],
    train_args=tfx.proto.TrainArgs(num_steps=STEPS),
    eval_args=tfx.proto.EvalArgs(num_steps=30),
)
tfx.orchestration.LocalDagRunner().run(
    tfx.dsl.Pipeline(
        pipeline_name="taxi",
        pipeline_root=str(OUT / "artifacts"),
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(OUT / "db")),
        components=[examples, schema, transform, trainer],
        beam_pipeline_args=["--runner=FnApiRunner", "--direct_running_mode=in_memory"],
    )
)
(model,) = OUT.glob("artifacts/Trainer/model/*/Format-Serving")
(folder,) = OUT.glob("artifacts/CsvExampleGen/examples/*/Split-test")
serve = tf.saved_model.load(str(model)).signatures["serving_default"]
targets, scores = [], []
for batch in tf.data.TFRecordDataset([str(path) for path in folder.iterdir()], compression_type="GZIP").batch(512):
    scores += next(iter(serve(examples=batch).values())).numpy()[:, 0].tolist()
    for serialized in batch.numpy():
        feature = tf.train.Example.FromString(serialized).features.feature

        def number(name: str, feature=feature) -> float:
            return next(iter([*feature[name].float_list.value, *feature[name].int64_list.value]), 0.0)

        targets.append(number("tips") > 0.2 * number("fare"))
print(json.dumps({"rows": len(targets), "auc": roc_auc_score(targets, scores)}))
