"""Readers of tables: CSV, JSON Lines, Parquet and Excel, and the choice of the reader for a file."""
