"""A route with and without `.json`."""

from django.urls import path


# --- routes --------------------------------------------------------------------------------------------------------
def with_suffix(route: str, view: type, name: str) -> list:
    """`route` and `route.json`, one view."""
    return [
        path(f"{route}.json", view.as_view(), {"format": "json"}, name=f"{name}-json"),
        path(route, view.as_view(), name=name),
    ]
