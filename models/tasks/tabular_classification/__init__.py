"""Classification of the rows of a table."""
