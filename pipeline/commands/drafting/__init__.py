"""`headrace new`: infers a run file from a person's own data, checks it and writes it."""
