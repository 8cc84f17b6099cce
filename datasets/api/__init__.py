"""The dataset routes: forms, fields, views, JSON."""
