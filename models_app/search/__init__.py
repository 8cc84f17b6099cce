"""Searches for the best hyperparameters: their rows, the ranges they choose from, and Optuna, which chooses."""
