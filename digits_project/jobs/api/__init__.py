"""The routes that all kinds of job share."""
