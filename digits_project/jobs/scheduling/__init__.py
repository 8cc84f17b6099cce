"""Which job runs next, and on which device: dispatch, queues, devices, turns between owners."""
