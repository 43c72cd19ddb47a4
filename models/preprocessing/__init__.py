"""What a preprocessing learns from the training split, and the graph that applies it."""
