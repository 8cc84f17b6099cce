"""The base of the management commands: options from forms, following jobs, exit statuses."""
