"""One run: its graph, the runner, Beam, preflight, recovery, and the result."""
