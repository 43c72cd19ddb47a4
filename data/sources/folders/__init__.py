"""Reads folders that contain a folder of images or texts for each class."""
