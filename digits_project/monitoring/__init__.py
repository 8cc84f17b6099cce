"""The server's state for operators: health checks, Prometheus metrics, `manage.py doctor`, log lines."""
