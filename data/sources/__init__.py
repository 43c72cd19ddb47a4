"""Readers: each reads files of one format, or one kind of source, as blocks of columns or as rows."""
