"""Jobs of a DIGITS server, taken over."""
