"""What TF Serving reads and speaks."""
