"""Features of images: the network that computes them, their files, and the comparison of all with all."""
