"""Evaluation: metrics, estimates, comparison, predictions, calibration, intervals, plots."""

OVERALL = "overall"  # among the slices of an evaluation: all rows
