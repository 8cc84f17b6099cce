"""Finds the images of a source: folders, archives, text files."""
