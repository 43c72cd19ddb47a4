"""Checks of the rows that are ingested, and the profile that drift is measured by."""
