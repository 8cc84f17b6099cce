"""Reads one image: decoding, 16-bit depth, transparency, repair of damaged files, resizing."""
