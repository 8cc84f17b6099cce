"""The inference routes: forms, views, JSON, pages."""
