"""Files that clients send in pieces: their bytes on disk, and who sent them, until a job takes them."""
