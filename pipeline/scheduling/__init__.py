"""Pipelines that run themselves: by the clock, on new data, and on drift; with a daemon, or by another's scheduler."""
