"""What is published and what is live: versions, the roll-out file, canaries, deployment files."""
