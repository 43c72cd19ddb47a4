"""Kinds of columns, a module each: what one cell becomes (`value`), and what all cells of a column do (`column`)."""
