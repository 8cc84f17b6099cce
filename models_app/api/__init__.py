"""The model routes: forms, fields, views, JSON."""
