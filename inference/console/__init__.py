"""The base of the inference commands."""
