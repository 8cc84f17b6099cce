"""What only pages show of predictions."""
