"""Looks at images before a dataset is built of them: their categories, a few of them, and what would be left out."""
