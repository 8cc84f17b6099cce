"""Previews of augmentation: images of a dataset as a training will see them."""
