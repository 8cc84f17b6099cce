"""One image: decoding, depth, transparency, mending, resizing."""
