"""Training: input, devices, fit, callbacks, checkpoints, warm start."""
