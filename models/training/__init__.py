"""Training: job, input, devices, optimizer, fit, callbacks, checkpoints, warm start."""
