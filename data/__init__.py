"""Where examples come from: named data sets (`catalog`), readers (`sources`) and curated schemas."""
