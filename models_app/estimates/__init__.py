"""Estimates of a training before it starts: its time, its disk space and its memory."""
