"""A reader of questions for made-up versions, and files to ask about."""

from pathlib import Path

from PIL import Image

from data.spec import CategoryFeature, DatasetSpec, ImageFeature, LabelFeature, NumberFeature, TextFeature
from pipeline.live.questions import Reader

LABEL = LabelFeature(classes=("no", "yes"))
FEATURES = {
    "image": {"photo": ImageFeature(height=4, width=4, channels=1), "label": LABEL},
    "text": {"review": TextFeature(), "label": LABEL},
    "name": {"user": CategoryFeature(), "item": CategoryFeature()},
    "table": {"age": NumberFeature(), "plan": CategoryFeature(optional=True), "label": LABEL},
}


class Asking:
    """A reader for a made-up version, in a folder of files."""

    def __init__(self, kind: str, **given):
        spec = DatasetSpec(name="m", title="m", licence="", features=FEATURES[kind])
        manifest = {"spec": spec.model_dump(mode="json"), "data": {"delimiter": ",", "missing_values": ["", "NA"]}}
        query = {"kind": kind, "input_key": "inputs", "column": next(iter(spec.features))}
        self.notes: list[str] = []
        self.reader = Reader.of("m", query, manifest, given, self.notes.append)

    def __call__(self, *files, texts=()):
        """Returns the questions as (where, content), or (where, error) of what cannot be used."""
        return rows_of(self.reader.questions(files, texts))


def rows_of(parts):
    """Returns questions as (where, content), or (where, error) of what cannot be used."""
    return [
        (tuple(part.key(row).values()), part.errors[row].as_py() or part.contents[row].as_py())
        for part in parts
        for row in range(len(part))
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
