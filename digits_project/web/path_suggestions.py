"""Suggests server paths while a user types one."""

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.serializers import CharField, ListField, Serializer
from rest_framework.views import APIView

from digits_project.accounts.roles import Role
from digits_project.api.forms import Form
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.jobs import data_roots


class QueryForm(Form):
    """The query string: the beginning of a path."""

    query = CharField(default="", help_text="The beginning of a path.")


class Suggestions(Serializer):
    """Server paths with the typed beginning."""

    suggestions = ListField(child=CharField())


class PathSuggestions(APIView):
    """The server paths that begin with `?query=` and that jobs may read, at most a hundred.

    It has no page: the response is JSON with or without the suffix.
    """

    renderer_classes = (PrettyJSONRenderer,)
    reading_role = Role.USER

    @extend_schema(responses={200: Suggestions}, parameters=[QueryForm])
    def get(self, request, format=None):
        return Response({"suggestions": data_roots.paths_beginning_with(request.query_params.get("query", ""))})
