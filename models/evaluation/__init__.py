"""Evaluation: metrics, bootstrap, predictions, calibration, intervals, plots."""
