"""The server's own pages: login, account, path suggestions, with templates and static files."""
