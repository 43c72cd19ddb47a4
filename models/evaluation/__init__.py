"""Evaluation: metrics, estimates, comparison, predictions, calibration, intervals, plots."""
