"""Training of the head on features: what the layers below it compute of each image, computed once and kept."""
