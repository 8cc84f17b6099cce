"""The size of the images that a network takes, and how a dataset's images are brought to it."""
