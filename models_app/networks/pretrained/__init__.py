"""Weights that were trained elsewhere: reads their files, and maps their names to the layers of our networks."""
