"""The OpenAPI schema of the routes, which drf-spectacular generates from the views.

A view declares its responses and its query string with drf-spectacular's @extend_schema; `errors(409)` are responses
with errors. Bodies come from the view's form. Responses that every route of a kind has (not logged in, a request from
another site, a body that can't be read) are added here.
"""

import inspect
import re

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from digits_project.api.forms import IGNORED
from digits_project.common.job_ids import JOB_ID

MEANINGS = {
    400: "A field is wrong or missing, or the body can't be read.",
    401: "The request has no login, and this server requires one (DIGITS_AUTH=required).",
    403: "Not allowed for this user, in this state of the job, or from a page of another site.",
    404: "There is no such job, or it is of another kind.",
    409: "The job's status does not allow this.",
    413: "The body is too large.",
    415: "The body is not a form, multipart or JSON.",
    422: "The image can't be decoded (500 with DIGITS_WIRE_FORMAT=digits).",
    507: "The server's disk is full, or the owner's jobs use more of it than allowed (DIGITS_MAX_OWNER_DISK).",
    429: (
        "Too many requests in a minute (DIGITS_INFERENCE_RATE) or at the same time, or too many waiting jobs "
        "(DIGITS_MOST_WAITING)."
    ),
}
JOB = OpenApiParameter(
    "job_id",
    str,
    OpenApiParameter.PATH,
    pattern=f"^{JOB_ID.pattern}$",
    description="The job's id, as the response of its creation gave it.",
)

IGNORED_FIELDS = OpenApiParameter(
    IGNORED,
    str,
    OpenApiParameter.HEADER,
    response=[200],
    description="The fields of the form that this server does not know, separated by commas; absent if there are none.",
)


class Problem(serializers.Serializer):
    """The reason why a request was refused."""

    message = serializers.CharField(help_text="The status and its name, such as `404: Not Found`.")
    type = serializers.CharField(help_text="The name of the status without spaces, such as `NotFound`.")
    description = serializers.CharField(help_text="What was wrong, where, and what to do.")


class Refusal(serializers.Serializer):
    """A request that is refused as a whole."""

    error = Problem()


class FieldError(serializers.Serializer):
    """An error of one field of a form; `field` is empty for an error of several fields together."""

    field = serializers.CharField()
    message = serializers.CharField()


class FormErrors(serializers.Serializer):
    """A form that is not valid, with every invalid field."""

    def get_fields(self):
        return {"errors": FieldError(many=True)}  # as an attribute it would hide the serializer's own `errors`


class FormErrorsOfDigits(serializers.Serializer):
    """A form that is not valid, with DIGITS_WIRE_FORMAT=digits: a list of messages for each field."""

    def get_fields(self):
        return {"errors": serializers.DictField(child=serializers.ListField(child=serializers.CharField()))}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """For @extend_schema: the responses with these statuses."""
    return {status: OpenApiResponse(Refusal, MEANINGS[status]) for status in statuses}


class Schema(AutoSchema):
    """Adds to drf-spectacular's schema what it can't infer from the views."""

    def get_operation_id(self):
        """The id from method and path, such as post_models_images_classification; new routes never change it."""
        words = re.findall(r"[a-z_]+", self.path.removesuffix(".json"))
        return "_".join([self.method.lower(), *words])

    def get_tags(self):
        app, first = type(self.view).__module__.split(".")[0], self.path.split("/")[1]
        return ["inference" if app == "inference" else first if first in ("datasets", "models", "jobs") else "server"]

    def get_summary(self):
        return self._documentation()[0]

    def get_description(self, path="", method=""):
        return self._documentation()[1]

    def _documentation(self) -> list[str]:
        """[summary, description]: the first sentence and the rest of the action's docstring, else of the view's."""
        action = getattr(self.view, getattr(self.view, "action", self.method.lower()))
        text = inspect.cleandoc(action.__doc__ or type(self.view).__doc__ or "")
        summary, *rest = re.split(r"(?<=\.)\s+", text, maxsplit=1)
        return [summary.rstrip(".").replace("\n", " "), "".join(rest)]

    def get_request_serializer(self):
        return getattr(self.view, "serializer_class", None)

    def map_parsers(self):
        """One media type for each form, although the server takes three: generated clients choose among several by
        chance. A form with files is multipart, any other is JSON."""
        form = self.get_request_serializer()
        takes_files = form is not None and any(
            isinstance(field, serializers.FileField) for field in form().fields.values()
        )
        return ["multipart/form-data" if takes_files else "application/json"]

    def get_override_parameters(self):
        job = [JOB] if "{job_id}" in self.path else []
        return [*job, IGNORED_FIELDS] if self._takes_form() else job

    def _takes_form(self) -> bool:
        return self.method in ("POST", "PUT") and self.get_request_serializer() is not None

    def get_operation(self, *args):
        operation = super().get_operation(*args)
        if operation:
            responses = {str(status): self._error_response(status) for status in self._common_errors()}
            operation["responses"] = dict(sorted((responses | operation["responses"]).items()))
        return operation

    def _common_errors(self) -> set[int]:
        """The statuses of the errors that routes like this one have in common."""
        statuses = {401, 403}
        if "{job_id}" in self.path:
            statuses.add(404)
        if any(_is_in_query(parameter) for parameter in self.get_override_parameters()):
            statuses.add(400)
        if self.view.throttle_classes:
            statuses.add(429)
        if self._takes_form():
            statuses |= {400, 413, 415}
        return statuses

    def _error_response(self, status: int) -> dict:
        shapes = [Refusal, FormErrors, FormErrorsOfDigits] if status == 400 else [Refusal]
        refs = [self.resolve_serializer(shape, "response").ref for shape in shapes]
        response = OpenApiResponse({"oneOf": refs} if refs[1:] else refs[0], MEANINGS[status])
        return self._get_response_for_code(response, str(status))


def _is_in_query(parameter) -> bool:
    """Whether it is part of the query string: a form, or a single parameter."""
    return isinstance(parameter, type) or parameter.location == OpenApiParameter.QUERY


class SessionScheme(OpenApiAuthenticationExtension):
    """The security scheme of authentication.Session."""

    target_class = "digits_project.accounts.authentication.Session"
    name = "session"

    def get_security_definition(self, auto_schema):
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class TokenScheme(OpenApiAuthenticationExtension):
    """The security scheme of authentication.Token."""

    target_class = "digits_project.accounts.authentication.Token"
    name = "token"

    def get_security_definition(self, auto_schema):
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Token …`"}


class FileFieldExtension(OpenApiSerializerFieldExtension):
    """The schema of an uploaded file; no response has one."""

    target_class = "rest_framework.serializers.FileField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema, direction):
        return {"type": "string", "format": "binary"}


def without_marks(result: dict, **_) -> dict:
    """A postprocessing hook that removes drf-spectacular's marks on choices, which only its own enum hook needs."""
    for component in result["components"]["schemas"].values():
        for field in component.get("properties", {}).values():
            field.pop("x-spec-enum-id", None)
    return result


def one_of_each_route(endpoints: list) -> list:
    """A preprocessing hook that drops the pages: the front page, and of a route with two URLs the one without .json."""
    paths = {path for path, *_ in endpoints}
    return [endpoint for endpoint in endpoints if f"{endpoint[0]}.json" not in paths and endpoint[0] != "/"]
