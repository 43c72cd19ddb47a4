"""Kinds of columns, one module each: `value` converts a cell, `column` all cells of a column."""
