"""Checks of the rows that are ingested, and the profile by which drift is measured."""
