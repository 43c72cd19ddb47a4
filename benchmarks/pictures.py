"""CPU milliseconds of a picture at ingest and within the served graph, on this machine."""

import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image
from threadpoolctl import threadpool_limits

from data import pictures
from models.layers import pictures as served

# Format, width, height and mode of a file; height, width and channels of the result.
CASES = (
    ("PNG", (28, 28), "L", (28, 28, 1)),
    ("PNG", (64, 64), "RGB", (64, 64, 3)),
    ("JPEG", (640, 480), "RGB", (64, 64, 3)),
    ("JPEG", (640, 480), "RGB", (224, 224, 3)),
    ("JPEG", (4000, 3000), "RGB", (64, 64, 3)),
)
ROUNDS, BATCH = 20, 32


def table(say: Callable[[str], None]) -> str:
    """Measures and returns the table in Markdown: medians of `ROUNDS`."""
    lines = ["| file | becomes | ingest | served, one | served, each of 32 |", "| --- " * 5 + "|"]
    for name, size, mode, shape in CASES:
        content = _file(name, size, mode)
        graph = _graph(shape)
        with threadpool_limits(1, user_api="blas"):
            ingest = _milliseconds(lambda content=content, shape=shape: pictures.decode(content, shape))
        alone, batch = tf.constant([content]), tf.constant([content] * BATCH)
        single = _milliseconds(lambda graph=graph, alone=alone: graph(alone))
        batched = _milliseconds(lambda graph=graph, batch=batch: graph(batch)) / BATCH
        size_of_result = "x".join(map(str, shape))
        lines.append(
            f"| {name} {size[0]}x{size[1]} {mode} | {size_of_result} | {ingest:.2f} | {single:.2f} | {batched:.2f} |"
        )
        say(lines[-1])
    return "\n".join(lines)


def _file(name: str, size: tuple[int, int], mode: str) -> bytes:
    """Returns an encoded picture of made-up smooth areas: pure noise does not compress like a picture."""
    shape = (30, 40) if mode == "L" else (30, 40, 3)
    small = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize(size).save(file, name)
    return file.getvalue()


def _graph(shape: tuple[int, int, int]):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def decoded(files):
        return tf.map_fn(
            lambda file: served.raw_bytes(served.decode(file, *shape)), files, fn_output_signature=tf.string
        )

    return decoded


def _milliseconds(call: Callable[[], object]) -> float:
    call()
    milliseconds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        call()
        milliseconds.append(1000 * (time.process_time() - begin))
    return statistics.median(milliseconds)
