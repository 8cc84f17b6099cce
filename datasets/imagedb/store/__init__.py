"""What a build writes: records, the mean image, folders that appear when they are complete."""
