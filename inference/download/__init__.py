"""The archive with which a snapshot runs elsewhere."""
