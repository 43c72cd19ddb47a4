"""The states of a run; the command's help names them, so this loads nothing."""

RUNNING = "running"
# `killed` is not in the record's file, see `record.state_of`.
STATES = (RUNNING, "published", "unpublished", "failed", "stopped", "killed")
