"""A watermark that a network learned: planted, found by the report, and shown by the map (docs/watermark.md)."""
