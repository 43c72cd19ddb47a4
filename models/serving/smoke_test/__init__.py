"""The smoke test of a candidate: a server of its own answers real examples before the model is published."""
