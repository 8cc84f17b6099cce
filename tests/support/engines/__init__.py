"""Engines in tests: PyTorch, which can be missing, and programs that pretend to have it."""
