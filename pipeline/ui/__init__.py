"""A read-only site to look at pipelines, runs and their differences."""
