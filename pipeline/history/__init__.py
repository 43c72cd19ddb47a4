"""The history of runs: run records, ML Metadata and its database, clean-up."""
