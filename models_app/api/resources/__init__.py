"""Models, pretrained models and searches as resources of /api/v1, and at DIGITS's further addresses."""
