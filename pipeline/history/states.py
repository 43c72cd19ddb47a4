"""The states of a run. Imports nothing, since the help of the command names them."""

RUNNING = "running"
STOPPED = "stopped"  # by a signal
KILLED = "killed"  # not in the record's file, see `record.state_of`
STATES = (RUNNING, "published", "unpublished", "failed", STOPPED, KILLED)
