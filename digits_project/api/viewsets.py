"""The bases of the views: routes with a form, the header of ignored fields, and the response to OPTIONS."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Any, cast
from urllib.parse import quote

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.metadata import SimpleMetadata
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from digits_project.api.browsable import BrowsablePage
from digits_project.api.forms import IGNORED, Form

# Limits of the header: clients and proxies limit the size of a response's head.
MAX_IGNORED_NAMES = 50
MAX_IGNORED_NAME = 60  # characters of a name
MAX_IGNORED_BYTES = 2000


class Defaults(serializers.Serializer):
    """The optional fields of a form that have a default."""

    defaults = serializers.DictField(child=serializers.JSONField(allow_null=True))


class FormMetadata(SimpleMetadata):
    """The response to OPTIONS, with the fields of the route's form if it has one."""

    def determine_actions(self, request, view):
        return super().determine_actions(request, view) if view.serializer_class else {}


class FormViewSet(ViewSet):
    """A viewset whose routes may each have a form: `serializer_class`, which the page of the route shows."""

    serializer_class: type[Form] | None = None
    button = "Send"  # the text of the page's button that sends the form
    metadata_class = FormMetadata

    def form_class(self) -> type[Form]:
        if self.serializer_class is None:
            raise TypeError(f"{type(self).__name__} has no form on this route")
        return self.serializer_class

    def get_serializer(self, *args, **kwargs) -> Form:
        return self.form_class()(*args, **kwargs)

    @extend_schema(responses={200: Defaults})
    def defaults(self, request, format=None):
        """The optional fields with their defaults; in a browser, the form."""
        return Response({"defaults": self.get_serializer().defaults()})

    def sent(self) -> Mapping[str, Any]:
        """The fields of the request's body; the parsers take no other body than an object or a form."""
        return cast(Mapping[str, Any], self.request.data)

    def valid_form(self, data) -> Form:
        """The form of this route with `data`. Raises ValidationError."""
        form = self.form_class().with_data(data)
        self.headers |= ignored_header(form, self.sent())
        form.is_valid(raise_exception=True)
        return form


def ignored_header(form: Form, sent: Iterable[str]) -> dict[str, str]:
    """The header that lists, in order, the sent fields that the form does not know; {} if there are none.

    A name can contain any character, so names are quoted as in a URL.
    """
    names = nsmallest(MAX_IGNORED_NAMES, (name for name in sent if not form.knows(name)))
    listed = ", ".join(quote(name[:MAX_IGNORED_NAME], safe="-.[]", errors="replace") for name in names)
    if len(listed) > MAX_IGNORED_BYTES:
        listed = listed[:MAX_IGNORED_BYTES].rpartition(", ")[0]
    return {IGNORED: listed} if listed else {}


class PageView(APIView):
    """The base of views that only browsers use: pages without JSON, and fragments of pages. `get` and `post` return a
    PageResponse with a template, which for a fragment extends nothing, or a redirect."""

    renderer_classes: Sequence[type[BaseRenderer]] = (BrowsablePage,)
    schema: Any = None  # not in the API's schema
    serializer_class = None
