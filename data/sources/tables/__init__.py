"""Readers of tables: CSV, JSON Lines and Parquet, and which of them a file wants."""
