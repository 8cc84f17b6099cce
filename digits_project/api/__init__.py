"""What all routes share: forms, renderers, wire formats, exceptions as responses, the OpenAPI schema."""
