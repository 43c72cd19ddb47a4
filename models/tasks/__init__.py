"""The tasks: a folder each, with config.py (no TensorFlow), task.py and reference.py."""
