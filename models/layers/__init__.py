"""Keras layers that two or more tasks share."""
