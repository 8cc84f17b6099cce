"""The base of all routes: forms, renderers, wire formats, exceptions as responses, the OpenAPI schema."""
