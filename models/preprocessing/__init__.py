"""Preprocessing: TFT's analyzers over the training split, and the graph that applies their results."""
