"""Fashion-MNIST: 60,000 + 10,000 grey 28x28 images of ten kinds of clothing.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747. The published test split is kept as it is; validation is a twelfth of the published
training split.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.columnar.splitting import hash_splits, image_bytes
from data.errors import SourceUnavailable
from data.files.checksums import verify
from data.sources.idx import read_idx
from data.sources.packages import fetch_debian, keep, kept_folder
from data.sources.tfds import read_tfds
from data.spec import Dataset, DatasetSpec, ImageFeature, LabelFeature, Row, Splits

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
# Buckets of the content's hash, of 1,000, of the published training split.
_BUCKETS = {"train": range(83, 1000), "validation": range(0, 83)}


@dataclass(frozen=True)
class _Rows:
    """One published split, read from its two idx files when iterated."""

    folder: Path
    prefix: str

    def __iter__(self) -> Iterator[Row]:
        images = read_idx(self.folder / f"{self.prefix}-images-idx3-ubyte.gz")  # (rows, 28, 28)
        labels = read_idx(self.folder / f"{self.prefix}-labels-idx1-ubyte.gz")  # (rows,)
        for image, label in zip(images, labels, strict=True):
            yield {"image": image[..., None], "label": int(label)}


def _carve(train, test) -> Splits:
    return {**hash_splits(train, _BUCKETS, image_bytes), "test": test}


def _from_system(folder: Path | None) -> Splits:
    folder = folder or SYSTEM_FOLDER
    if not folder.is_dir():
        raise SourceUnavailable(f"no folder {folder}.")
    verify(folder, SHA256, fix=f"install it again (apt-get install --reinstall {PACKAGE})")
    return _carve(_Rows(folder, "train"), _Rows(folder, "t10k"))


def cache_folder() -> Path:
    """Returns the folder in which the files of the Debian package are kept."""
    return kept_folder("fashion_mnist")


def _from_debian(folder: Path | None) -> Splits:
    cache = folder or cache_folder()
    keep(cache, _fetch)
    verify(cache, SHA256, fix=f"delete the folder {cache} and run again to fetch it anew")
    return _carve(_Rows(cache, "train"), _Rows(cache, "t10k"))


def _fetch(folder: Path) -> None:
    """Copies the package's four files into `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        fetch_debian(PACKAGE, Path(scratch))
        shutil.copytree(Path(scratch) / SYSTEM_FOLDER.relative_to("/"), folder, dirs_exist_ok=True)
    verify(folder, SHA256, fix="the mirror has another version; use data.source: tfds or report it")


def _from_tfds(folder: Path | None) -> Splits:
    keys = {"image": "image", "label": "label"}
    splits = read_tfds("fashion_mnist", folder, {"train": "train", "test": "test"}, keys)
    return _carve(splits["train"], splits["test"])


DATASET = Dataset(
    spec=DatasetSpec(
        name="fashion_mnist",
        title="ten kinds of clothing, grey 28x28",
        licence="MIT",
        features={
            "image": ImageFeature(height=28, width=28, channels=1),
            "label": LabelFeature(
                classes=(
                    "T-shirt/top",
                    "Trouser",
                    "Pullover",
                    "Dress",
                    "Coat",
                    "Sandal",
                    "Shirt",
                    "Sneaker",
                    "Bag",
                    "Ankle boot",
                )
            ),
        },
        num_rows={"train": 54_984, "validation": 5_016, "test": 10_000},
    ),
    digest=lambda: "sha256:" + ",".join(checksum[:12] for checksum in SHA256.values()),
    sources={"system": _from_system, "debian": _from_debian, "tfds": _from_tfds},
)
