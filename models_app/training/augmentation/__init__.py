"""Augmentation: random changes of the images and labels that a training reads, the same for the same seed."""
