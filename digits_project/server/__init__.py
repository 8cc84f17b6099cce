"""The parts of the web process around Django: the gunicorn worker, its connections, middleware."""
