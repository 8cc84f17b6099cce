"""Readers of the images that a source names: folders, archives, text files."""
