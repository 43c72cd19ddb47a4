"""The smoke test of a candidate: before it is published, a server of its own predicts real examples."""
