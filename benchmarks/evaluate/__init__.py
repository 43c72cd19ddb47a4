"""What evaluation, comparison and `headrace predict` cost beside one forward pass: `make bench ARGS=evaluate`."""
