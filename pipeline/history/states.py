"""The states of a run. Imports nothing, since the help of the command names them."""

RUNNING = "running"
# `killed` is never in a record's file; see `record.state_of`.
STATES = (RUNNING, "published", "unpublished", "failed", "stopped", "killed")
