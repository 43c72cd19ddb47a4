"""What Headrace costs, beside its rivals; `make bench` runs it. Never part of the tests: figures vary by machine."""
