"""How a server is run: as a child process on this machine, or elsewhere by Compose and Kubernetes manifests."""
