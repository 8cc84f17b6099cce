"""Files that a build writes: records, the mean image, folders that become visible when they are complete."""
