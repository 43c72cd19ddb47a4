"""Evaluation: metrics, predictions, calibration, intervals, plots."""
