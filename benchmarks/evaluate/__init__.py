"""Costs of evaluation, comparison and `headrace predict` relative to a forward pass: `make bench ARGS=evaluate`."""
