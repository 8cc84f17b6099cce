"""The data path of a training: from records to pixels, crops and batches."""
