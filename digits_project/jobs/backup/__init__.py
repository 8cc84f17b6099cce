"""A backup of the database and the jobs, and its restore."""
