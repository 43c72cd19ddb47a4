"""Readers: each turns files of one format, or one kind of place, into blocks of cells by column, or into rows."""
