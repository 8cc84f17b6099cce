"""Which labels seem wrong: a classifier on features, and confident learning on its probabilities."""
