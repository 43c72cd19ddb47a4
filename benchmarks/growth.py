"""The same pipeline on 60,000 and on 600,000 records: Fashion-MNIST repeated with noise."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measuring import HEADRACE, cost
from data.sources.idx import read_idx

STAGES = ("ingest", "statistics", "transform", "evaluate")
RUN_FILE = """
task: image_classification
data:
  files: big.tfrecord
  features:
    image: {{kind: image, height: 28, width: 28, channels: 1}}
    label: {{kind: label, classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}}
beam: {{workers: {workers}}}
train: {{epochs: 1, batch_size: 512}}
"""


def write_records(path: Path, copies: int, data: Path) -> None:
    """Writes Fashion-MNIST's 60,000 training images `copies` times, each with other noise, as TFRecord."""
    import tensorflow as tf

    images = read_idx(data / "train-images-idx3-ubyte.gz")
    labels = read_idx(data / "train-labels-idx1-ubyte.gz")
    generator = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(copies):
            noisy = np.clip(images + generator.integers(-8, 9, images.shape, np.int16), 0, 255).astype(np.uint8)
            for image, label in zip(noisy, labels, strict=True):
                features = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def table(say: Callable[[str], None]) -> str:
    """Measures and returns the table in Markdown."""
    from data.catalog import fashion_mnist

    fashion_mnist.DATASET.sources["debian"](None)
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, copies, workers in (("60,000", 1, 1), ("600,000", 10, 1), ("600,000, 2 workers", 10, 2)):
            folder = Path(scratch) / str(copies)
            if not folder.exists():
                folder.mkdir()
                write_records(folder / "big.tfrecord", copies, fashion_mnist.cache_folder())
            (folder / "big.yaml").write_text(RUN_FILE.format(workers=workers))
            home = Path(scratch) / f"home-{copies}-{workers}"
            run = cost([*HEADRACE, "run", folder / "big.yaml", "--home", home, "--json"])
            seconds = {stage["name"]: stage["seconds"] for stage in json.loads(run.out)["stages"]}
            figures[name] = {**{stage: seconds[stage] for stage in STAGES}, "peak MiB": run.peak}
            say(f"{name}: {run.wall:.0f} s")
    names = list(figures)
    lines = [f"| | {' | '.join(names)} | growth | 2 workers |", "| --- " * (len(names) + 3) + "|"]
    for what in (*STAGES, "peak MiB"):
        base, tenfold, two_workers = (figures[name][what] for name in names)
        cells = [f"{base:,.1f}", f"{tenfold:,.1f}", f"{two_workers:,.1f}"]
        ratios = [f"{tenfold / base:.2f}", f"{two_workers / tenfold:.2f}"]
        lines.append(f"| {' | '.join([what, *cells, *ratios])} |")
    return "\n".join(lines)
