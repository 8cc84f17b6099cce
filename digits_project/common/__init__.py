"""What every part may import: errors, processes, resources, files that users name. No Django, nothing of the server."""
