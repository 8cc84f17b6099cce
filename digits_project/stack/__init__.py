"""The supervisor of `make run` and its children: PostgreSQL, Redis, the web server, the workers, the reaper."""
