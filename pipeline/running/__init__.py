"""Execution of a run: preflight checks, the graph of stages, the runner, Beam, recovery and the result."""
