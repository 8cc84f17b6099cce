"""The trainer: a process of its own (`python -m models_app.training CONFIG.json`) that knows nothing of the server."""
