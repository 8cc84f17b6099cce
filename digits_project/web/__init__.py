"""The product's own pages: login, account, path suggestions, with their templates and static files."""
