"""The columnar data path: cells of a file by column, columns as stored, splits, batches, accumulators."""
