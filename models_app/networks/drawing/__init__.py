"""A network as an SVG picture."""
