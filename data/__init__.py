"""Data sets: settings, named data sets (`catalog`), readers (`sources`), stored columns and splits, checks."""
