"""Writes, reads and checks snapshots on disk."""
