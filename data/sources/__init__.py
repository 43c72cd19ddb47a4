"""Readers: each turns files of one format, or one kind of place, into rows."""
