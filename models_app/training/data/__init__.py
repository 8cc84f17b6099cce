"""What a training reads: records, pixels, crops, batches."""
