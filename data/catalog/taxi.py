"""Chicago taxi trips, the example of TFX itself: 15,002 trips, and whether the tip was above a fifth of the fare.

Source: City of Chicago, "Taxi Trips", as TFX's wheel ships it. Trips without a fare are left out, and the
pickup's census tract, which one single trip has.
"""

import csv
import importlib.util
from pathlib import Path

from data.errors import SourceUnavailable
from data.prepared import by_content, prepared, write_table
from data.spec import CategoryFeature, DatasetSpec, DateFeature, LabelFeature, NumberFeature

INSIDE_TFX = "examples/chicago_taxi_pipeline/data/simple/data.csv"
TRIP = {
    "trip_start_timestamp": DateFeature(format="unix"),
    "trip_start_month": NumberFeature(min=1, max=12),
    "trip_start_day": NumberFeature(min=1, max=7),
    "trip_start_hour": NumberFeature(min=0, max=23),
    "trip_miles": NumberFeature(min=0),
    "trip_seconds": NumberFeature(min=0, optional=True),
    "pickup_latitude": NumberFeature(optional=True),
    "pickup_longitude": NumberFeature(optional=True),
    "dropoff_latitude": NumberFeature(optional=True),
    "dropoff_longitude": NumberFeature(optional=True),
    "dropoff_census_tract": CategoryFeature(optional=True),
    "pickup_community_area": CategoryFeature(optional=True),
    "dropoff_community_area": CategoryFeature(optional=True),
    "payment_type": CategoryFeature(),
    "company": CategoryFeature(optional=True),
}
SHA256 = "17f623abc1cbcaae1e682d855c755bb0e54e65b6000b0f98c2ac18a957d4edaa"
LICENCE = "City of Chicago terms of use"
SPLIT = by_content(*TRIP)
NUM_ROWS = {"train": 10_405, "validation": 1_537, "test": 3_060}


def make(folder: Path) -> None:
    """Writes the table, with a column `big_tip`."""
    package = importlib.util.find_spec("tfx")  # found, not imported
    if package is None or not package.submodule_search_locations:
        raise SourceUnavailable("TFX is not installed.")
    path = Path(package.submodule_search_locations[0]) / INSIDE_TFX
    if not path.is_file():
        raise SourceUnavailable(f"this TFX has no {INSIDE_TFX}.")
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fare"]]
    for row in rows:
        row["big_tip"] = "yes" if float(row["tips"] or 0) > 0.2 * float(row["fare"]) else "no"
    columns = [*TRIP, "fare", "big_tip"]
    write_table(folder, columns, ([row[column] for column in columns] for row in rows))


DATASET = prepared(
    DatasetSpec(
        name="taxi",
        title="taxi trips in Chicago and who tips more than a fifth",
        licence=LICENCE,
        features={**TRIP, "fare": NumberFeature(min=0), "big_tip": LabelFeature(classes=("no", "yes"))},
        num_rows=NUM_ROWS,
    ),
    sha256=SHA256,
    make=make,
    split=SPLIT,
)
