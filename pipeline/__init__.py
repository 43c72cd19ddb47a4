"""The control plane: what a person drives."""
