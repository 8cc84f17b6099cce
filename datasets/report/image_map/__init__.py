"""The map of a dataset's images: a place and a short vector for each, and the search for similar ones."""
