"""Genes of yeast: windows of 200 bases of two chromosomes, inside a coding sequence or outside all of them.

Source: Saccharomyces Genome Database, as Debian's gbrowse-data ships chromosomes I and II. A window begins every 25
bases; windows that contain a part of a coding sequence are left out. Chromosome I is the test split and the last tenth
of chromosome II the validation split, without windows across the boundary, since neighbours overlap. Consecutive
windows, within one gene or between two, form a group.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.prepared import prepared, write_table
from data.sources.packages import fetch_debian
from data.spec import DatasetSpec, LabelFeature, TextFeature

WINDOW, STRIDE = 200, 25  # bases
VALIDATION_FROM = 731_860  # base of chromosome II, of 813,178
FOLDER = "var/lib/gbrowse/databases"


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_debian("gbrowse-data", Path(scratch))
        database_folder = Path(scratch) / FOLDER
        genes = (database_folder / "yeast_chr1+2" / "yeast_chr1+2.gff3").read_text()
        files = {"chrI": "chr1.fa", "chrII": "chr2.fa"}
        rows = []
        for chromosome, name in files.items():
            bases = "".join((database_folder / "yeast_scaffolds" / name).read_text().upper().splitlines()[1:])
            rows += _windows(chromosome, bases, genes)
    write_table(folder, ["chromosome", "begin", "sequence", "kind"], rows)


def _windows(chromosome: str, bases: str, genes: str) -> Iterator[list]:
    """Yields chromosome, first base (from 0), bases and class of each window of a chromosome."""
    coding = np.zeros(len(bases), bool)
    for line in genes.splitlines():
        cells = line.split("\t")
        if len(cells) > 4 and cells[0] == chromosome and cells[2] == "CDS":
            coding[int(cells[3]) - 1 : int(cells[4])] = True
    for first_base in range(0, len(bases) - WINDOW + 1, STRIDE):
        share = coding[first_base : first_base + WINDOW].mean()
        is_across_boundary = chromosome == "chrII" and first_base < VALIDATION_FROM < first_base + WINDOW
        if share in (0.0, 1.0) and not is_across_boundary:
            window = bases[first_base : first_base + WINDOW]
            yield [chromosome, first_base, window, "coding" if share else "noncoding"]


def split(cells: Mapping[str, str]) -> str:
    """Returns the split of a window: by its chromosome, and on chromosome II by its position."""
    if cells["chromosome"] == "chrI":
        return "test"
    return "validation" if int(cells["begin"]) >= VALIDATION_FROM else "train"


def regions(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yields the region of each window, in the order of the file: the first base of its run of consecutive windows."""
    region, previous = "", (None, None, -1)
    for cells in rows:
        chromosome, kind, begin = cells["chromosome"], cells["kind"], int(cells["begin"])
        if previous != (chromosome, kind, begin - STRIDE):
            region = f"{chromosome}:{begin}"
        previous = (chromosome, kind, begin)
        yield region


DATASET = prepared(
    DatasetSpec(
        name="genes",
        title="windows of 200 bases of yeast, coding or not",
        licence="GPL-1+ or Artistic (package)",
        features={"sequence": TextFeature(), "kind": LabelFeature(classes=("noncoding", "coding"))},
        num_rows={"train": 23_402, "validation": 2_594, "test": 7_631},
    ),
    sha256="2a365dedb0ac183ba017bf1b3b70ad294942b51e901ce1f52d7dc5a3ff3d0d4a",
    make=_make,
    split=split,
    groups=regions,
)
