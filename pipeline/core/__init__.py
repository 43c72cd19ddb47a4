"""The base of `pipeline`: settings, paths, lock, fingerprints, screen."""
