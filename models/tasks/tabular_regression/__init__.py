"""Regression on the rows of a table."""
