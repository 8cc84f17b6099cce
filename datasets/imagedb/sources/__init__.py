"""Where images come from: folders, archives, text files."""
