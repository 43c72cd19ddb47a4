"""The columnar data path: columns of a file become stored columns, splits, batches; accumulators over them."""
