"""Imports the jobs of a DIGITS server."""
