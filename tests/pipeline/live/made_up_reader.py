"""A reader of examples for made-up versions, and functions that write files for it."""

from pathlib import Path

from PIL import Image

from data.spec import CategoryFeature, DatasetSpec, ImageFeature, LabelFeature, NumberFeature, TextFeature
from pipeline.live.reader import Reader

LABEL = LabelFeature(classes=("no", "yes"))
FEATURES = {
    "image": {"photo": ImageFeature(height=4, width=4, channels=1), "label": LABEL},
    "text": {"review": TextFeature(), "label": LABEL},
    "name": {"user": CategoryFeature(), "item": CategoryFeature()},
    "table": {"age": NumberFeature(), "plan": CategoryFeature(optional=True), "label": LABEL},
}


class MadeUpReader:
    """A reader for a made-up version.

    Args:
        kind: Kind of the version's input, a key of FEATURES.
        settings: Settings of `data` that replace those of the training data.
    """

    def __init__(self, kind: str, **settings):
        spec = DatasetSpec(name="m", title="m", licence="", features=FEATURES[kind])
        manifest = {"spec": spec.model_dump(mode="json"), "data": {"delimiter": ",", "missing_values": ["", "NA"]}}
        query = {"kind": kind, "input_key": "inputs", "column": next(iter(spec.features))}
        self.notes: list[str] = []
        self.reader = Reader.of("m", query, manifest, settings, self.notes.append)

    def __call__(self, *files, texts=()):
        """Returns each example as (key, content), or (key, error) where it cannot be used."""
        return rows_of(self.reader.read(files, texts))


def rows_of(batches):
    """Returns each example as (key, content), or (key, error) where it cannot be used."""
    return [
        (tuple(batch.key(row).values()), batch.errors[row].as_py() or batch.contents[row].as_py())
        for batch in batches
        for row in range(len(batch))
    ]


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def picture(name: str, size=(9, 7), mode="L", **options) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 50).convert(mode).save(path, **options)
    return path
