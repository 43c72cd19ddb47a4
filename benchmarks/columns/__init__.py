"""Costs of the data path, and of Arrow, tfx_bsl and TFT called directly: `make bench ARGS=columns`."""
