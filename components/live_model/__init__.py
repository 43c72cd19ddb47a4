"""Comparison of a candidate with the live version: whether it is possible, on which rows, and with what result."""
