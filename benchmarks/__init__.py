"""Costs of Headrace and of its alternatives: `make bench`. Not part of the tests: figures differ between machines."""
