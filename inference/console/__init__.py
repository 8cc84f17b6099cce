"""What the inference commands share."""
