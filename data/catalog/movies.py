"""MovieLens, the small set of 2016: 100,004 ratings of 9,066 films by 671 people.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets", ACM TiiS 5 (2015), as the R package dslabs ships it.
Split by time: the last tenth of a person's ratings is held out, for two thirds of the people as test, for the others as
validation split. `recent` has the numbers of the films that the person rated before, the latest first, without
held-out ratings.
"""

import tempfile
from pathlib import Path

from data.columnar.splitting import bucket
from data.prepared import prepared, write_table
from data.sources.packages import fetch_debian
from data.sources.r_tables import read_table
from data.spec import CategoryFeature, DatasetSpec, TargetFeature, TextFeature

HELD_OUT = 0.1  # share of a person's ratings, the latest
RECENT = 20  # films
SEPARATOR = "|"
ACTIVITY = {"light": 0, "medium": 50, "heavy": 200}  # level -> least number of training ratings


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_debian("r-cran-dslabs", Path(scratch))
        table = read_table(Path(scratch) / "usr/lib/R/site-library/dslabs", "movielens")
    table = table.sort_values(["userId", "timestamp", "movieId"]).astype(object)
    table = table.where(table.notna(), None)
    rows = []
    for user, ratings in table.groupby("userId", sort=True):
        films = [_title(*facts) for facts in zip(ratings.title, ratings.year, ratings.movieId, strict=True)]
        num_training = round(len(films) * (1 - HELD_OUT))
        activity = [name for name, min_ratings in ACTIVITY.items() if num_training >= min_ratings][-1]
        held_out_split = "test" if bucket(str(user).encode()) < 667 else "validation"
        for position, (film, rating) in enumerate(zip(films, ratings.rating, strict=True)):
            end = min(position, num_training)
            recent = SEPARATOR.join(str(number) for number in ratings.movieId.iloc[max(end - RECENT, 0) : end][::-1])
            rows.append(
                [user, film, recent, activity, float(rating), "train" if position < num_training else held_out_split]
            )
    write_table(folder, ["user", "item", "recent", "activity", "rating", "split"], rows)


def _title(title: str | None, year: int | None, number: int) -> str:
    """Returns a film's title and year, and MovieLens's number, by which `recent` names it."""
    return f"{title or 'untitled'}{f' ({year})' if year else ''} #{number}"


DATASET = prepared(
    DatasetSpec(
        name="movies",
        title="ratings of films by people, MovieLens small",
        licence="MovieLens terms of use; package Artistic-2.0",
        features={
            "user": CategoryFeature(),
            "item": CategoryFeature(),
            "recent": TextFeature(optional=True),
            "activity": CategoryFeature(values=tuple(ACTIVITY)),
            "rating": TargetFeature(min=0.5, max=5.0),
        },
        num_rows={"train": 90_007, "validation": 3_247, "test": 6_750},
    ),
    sha256="7d7f3328f82e84a113963d0c5fded33ebab0f2998e35faa9e8c8f666e6544529",
    make=_make,
    split=lambda cells: cells["split"],
    groups=lambda rows: [cells["user"] for cells in rows],
)
