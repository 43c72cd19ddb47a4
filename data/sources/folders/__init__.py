"""Reads folders with a folder of images or texts for each class."""
