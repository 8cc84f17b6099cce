"""Template tags of the pages of models."""
