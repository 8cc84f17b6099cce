"""What stands around Django in the web process: the gunicorn worker and its connections, middleware."""
