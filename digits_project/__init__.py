"""The server: the Django project and all that its apps share."""

__version__ = "0.1.0"  # pyproject.toml and the schema of the API take it from here
