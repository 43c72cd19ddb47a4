"""The protocol of TF Serving: flags, config files, requests, responses, errors."""
