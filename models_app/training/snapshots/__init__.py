"""Snapshots on disk: written, read, checked."""
