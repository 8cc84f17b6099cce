"""Backs up the database and the jobs folders, and restores them."""
