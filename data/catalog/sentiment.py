"""Sentiment of tweets, film and product reviews: 16,348 sentences rated by twenty people each.

Source: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
Text", ICWSM 2014; the mean of ratings from -4 to 4. Those within 0.5 of neutral are left out. A product review's
sentences stay in one split.
"""

import tarfile
import tempfile
from pathlib import Path

from data.prepared import by_content, prepared, write_table
from data.sources.packages import fetch_pypi
from data.spec import DatasetSpec, LabelFeature, TextFeature

FILES = ("tweets", "movieReviewSnippets", "amazonReviewSnippets")
NEUTRAL = 0.5  # ratings up to it, either way


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        sha256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
        fetch_pypi("vaderSentiment", "3.3.2", sha256, Path(scratch))
        archive = Path(scratch) / "vaderSentiment-3.3.2" / "additional_resources" / "hutto_ICWSM_2014.tar.gz"
        rows = []
        with tarfile.open(archive) as file:
            for name in FILES:
                content = file.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt").read()
                for line in content.decode("utf-8", errors="replace").splitlines():
                    number, rating, text = line.split("\t", 2)
                    if abs(float(rating)) > NEUTRAL:
                        document = f"{name}-{number.split('_')[0]}"
                        rows.append([document, text.strip(), "positive" if float(rating) > 0 else "negative"])
    write_table(folder, ["document", "text", "sentiment"], rows)


DATASET = prepared(
    DatasetSpec(
        name="sentiment",
        title="tweets, film and product reviews, positive or negative",
        licence="MIT",
        features={"text": TextFeature(), "sentiment": LabelFeature(classes=("negative", "positive"))},
        num_rows={"train": 11_434, "validation": 1_582, "test": 3_332},
    ),
    sha256="50915e0d1a85db0b7e5e644ff1903cf5a3aa83d648a1c50295b725cfed0612e0",
    make=_make,
    split=by_content("document"),
)
