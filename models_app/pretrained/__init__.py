"""Pretrained models: weights from elsewhere, kept as rows, from which trainings start."""
