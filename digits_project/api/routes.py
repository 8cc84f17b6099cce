"""URL patterns of the views: each with and without `.json`."""

from collections.abc import Callable
from typing import Any

from django.urls import path
from django.views import View
from rest_framework.viewsets import ViewSet


# --- routes --------------------------------------------------------------------------------------------------------
def with_suffix(route: str, view: type[View], name: str) -> list:
    """`route` and `route.json` of an APIView."""
    return [
        path(f"{route}.json", view.as_view(), {"format": "json"}, name=f"{name}-json"),
        path(route, view.as_view(), name=name),
    ]


def action_routes(route: str, viewset: type[ViewSet], actions: dict[str, str], url_name: str, **attributes) -> list:
    """`route` and `route.json` of a viewset; the arguments are those of `action_view`."""
    return [
        path(f"{route}.json", action_view(viewset, actions, **attributes), {"format": "json"}, name=f"{url_name}-json"),
        path(route, action_view(viewset, actions, **attributes), name=url_name),
    ]


def action_view(viewset: type[ViewSet], actions: dict[str, str], **attributes) -> Callable:
    """The view of a viewset's `actions`, {HTTP method: method of the viewset}, as DRF's routers make it.

    The view gets the attributes that an @action declares, and `attributes`.
    """
    declared: dict[str, Any] = {}
    for action in actions.values():
        declared |= getattr(getattr(viewset, action), "kwargs", {})
    declared.pop("schema", None)  # each action has its own, where drf-spectacular finds it
    return viewset.as_view(dict(actions), **(declared | attributes))
