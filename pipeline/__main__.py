"""`python -m pipeline` is `headrace`."""

from headrace import main

main()
