"""What the stored answers of evaluations say: which of two is better, and on which images one is weak."""
