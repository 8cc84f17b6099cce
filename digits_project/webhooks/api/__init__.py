"""The routes of webhooks under /api/v1."""
