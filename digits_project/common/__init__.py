"""Modules that every package may import: errors, processes, resources, confined files. No Django, no server code."""
