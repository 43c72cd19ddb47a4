"""What the data path costs beside Arrow, tfx_bsl and TFT called directly: `make bench ARGS=columns`."""
