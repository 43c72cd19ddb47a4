"""Scheduled runs: by cron, on new data and on drift; by our daemon or an external scheduler."""
