"""The jobs and other things of a server, by their classes."""
