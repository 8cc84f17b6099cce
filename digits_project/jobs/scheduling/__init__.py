"""Decides which job runs next, and on which device: dispatch, queues, devices."""
