"""Chicago taxi trips and what they cost: the table of `taxi`, the fare in dollars to be predicted."""

from data.catalog import taxi
from data.prepared import prepared
from data.spec import DatasetSpec, TargetFeature

DATASET = prepared(
    DatasetSpec(
        name="taxi_fare",
        title="taxi trips in Chicago and their fare in dollars",
        licence=taxi.LICENCE,
        features={**taxi.TRIP, "fare": TargetFeature(min=0)},
        num_rows=taxi.NUM_ROWS,
    ),
    sha256=taxi.SHA256,
    make=taxi.make,
    split=taxi.SPLIT,
)
