"""Draws a network as an SVG picture."""
