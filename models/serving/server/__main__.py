"""`python -m models.serving.server FLAGS` starts the embedded server."""

import sys

from models.serving.server.server import block_keras, main

block_keras()
sys.exit(main(sys.argv[1:]))
