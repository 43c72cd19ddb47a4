"""What is published: serving, roll-out, predictions, request samples, drift."""
