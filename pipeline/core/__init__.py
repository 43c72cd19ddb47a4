"""What everything else in `pipeline` stands on: settings, paths, lock, fingerprints, screen."""
