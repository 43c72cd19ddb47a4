"""Evaluation: metrics, estimates, comparison, predictions, calibration, intervals, plots."""

EXAMPLE_COUNT = "example_count"  # among the metrics of a slice: how many rows it has
OVERALL = "overall"  # among the slices of an evaluation: all rows
