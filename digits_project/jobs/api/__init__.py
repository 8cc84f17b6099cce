"""The routes that all jobs have."""
