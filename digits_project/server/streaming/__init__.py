"""Event streams: connections that stay open, to which one thread of each web process sends the events of jobs."""
