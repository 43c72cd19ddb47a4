"""A run file for a person's own data: what `headrace new` infers, and how it is written."""
