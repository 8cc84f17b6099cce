"""Times a revision of a dataset against the build of it."""
