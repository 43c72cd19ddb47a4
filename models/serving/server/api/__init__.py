"""The two APIs of the embedded server, gRPC and REST."""
