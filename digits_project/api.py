"""The wire: which renderer answers, the two wire formats, and how an error becomes an HTTP answer."""

import logging
import re
import secrets
import sys
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import path
from django.views import defaults
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework import exceptions, serializers
from rest_framework.fields import empty
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings

from digits_project.errors import BadInput, no_room
from digits_project.jobs.lifecycle import IllegalTransition
from digits_project.jobs.services import Gone, HasDependents, Refused

log = logging.getLogger(__name__)

FIELDS_TOO_LARGE = "The fields of the form take more than {} MiB; send what is large as a file."

AWAY = (OperationalError, InterfaceError, RedisConnectionError, RedisTimeoutError)
RETRY_SECONDS = 5


class Conflict(exceptions.APIException):
    """The job is not in a state for that."""

    status_code = 409


class Undecodable(exceptions.APIException):
    """An uploaded image that can't be decoded: 422, or 500 as DIGITS answered."""

    def __init__(self, detail):
        super().__init__(detail)
        self.status_code = 500 if settings.DIGITS_WIRE_FORMAT == "digits" else 422


# --- renderers -----------------------------------------------------------------------------------------------------
class PrettyJSONRenderer(JSONRenderer):
    """Two spaces, keys in the order given: public clients read the answer by line."""

    charset = "utf-8"
    ensure_ascii = False

    def get_indent(self, accepted_media_type, renderer_context):
        return 2

    def render(self, data, accepted_media_type=None, renderer_context=None):
        body = super().render(data, accepted_media_type, renderer_context)
        return body + b"\n" if body else body  # a shell's next prompt begins on a line of its own


class SuffixNegotiation(DefaultContentNegotiation):
    """`.json` answers JSON; without it, JSON where Accept prefers that to a page."""

    def select_renderer(self, request, renderers, format_suffix=None):
        json = next((renderer for renderer in renderers if renderer.format == "json"), renderers[0])
        page = next((renderer for renderer in renderers if renderer.format == "api"), json)
        if format_suffix == "json" or _quality(request, "application/json") > _quality(request, "text/html"):
            return json, json.media_type
        return page, page.media_type


def _quality(request, media_type: str) -> float:
    """The q of `media_type` in the Accept header (RFC 9110, 12.5.1): the most specific range that matches decides."""
    group = media_type.split("/")[0]
    qualities = {}
    for entry in request.headers.get("Accept", "*/*").split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        q = next((p[2:] for p in parameters if re.fullmatch(r"q=[01](\.\d{0,3})?", p)), "1")
        qualities[name.lower()] = float(q)
    return next((qualities[name] for name in (media_type, f"{group}/*", "*/*") if name in qualities), 0.0)


# --- bodies --------------------------------------------------------------------------------------------------------
class JSONObjectParser(JSONParser):
    """A JSON body is an object; its fields are those of the form."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            body = super().parse(stream, media_type, parser_context)
        except RecursionError as deep:
            raise exceptions.ParseError("The JSON is nested too deep.") from deep
        if not isinstance(body, dict):
            raise exceptions.ParseError("The JSON must be an object: {field: value, …}.")
        return body


# --- forms ---------------------------------------------------------------------------------------------------------
class Form(serializers.Serializer):
    """A posted form, the same for form, multipart and JSON bodies. A blank optional field means its default."""

    WIRE_NAMES: dict[str, str] = {}  # {column: field}, where a row calls something otherwise than the wire does
    DESCRIPTIONS: dict[str, str] = {}  # {field: what it means}, for the page and the schema
    FIRST: tuple[str, ...] = ()  # the fields that the form begins with, whichever class they are of

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, default in self.defaults().items():
            self.fields[name].initial = default  # what the page's form shows
        for name, description in self.DESCRIPTIONS.items():
            self.fields[name].help_text = description

    def get_fields(self):
        fields = super().get_fields()
        return {name: fields[name] for name in dict.fromkeys((*self.FIRST, *fields)) if name in fields}

    def defaults(self) -> dict:
        """{field: default} of the optional fields, as they may be posted."""
        defaulted = {name: field for name, field in self.fields.items() if field.default is not empty}
        return {
            name: None if field.default is None else field.to_representation(field.default)
            for name, field in defaulted.items()
        }

    def in_wire_names(self, invalid: DjangoValidationError) -> dict[str, list[str]]:
        """{field: messages} of what a service has against the columns."""
        return {self.WIRE_NAMES.get(column, column): messages for column, messages in invalid.message_dict.items()}

    def to_internal_value(self, data):
        if not hasattr(data, "items"):
            return super().to_internal_value(data)  # says that it is not an object
        given = {
            name: data[name]
            for name, field in self.fields.items()
            if name in data and (field.required or getattr(field, "allow_blank", False) or data[name] not in ("", None))
        }
        return super().to_internal_value(given)


class Flag(serializers.BooleanField):
    """y yes true on 1 or n no false off 0, any case; absent or empty is false, anything else an error."""

    TRUE_VALUES = {"y", "yes", "true", "on", "1", 1}
    FALSE_VALUES = {"n", "no", "false", "off", "0", "", 0}
    default_error_messages = {"invalid": "This is neither true (y yes true on 1) nor false (n no false off 0)."}

    def __init__(self, **kwargs):
        super().__init__(default=False, **kwargs)

    def to_internal_value(self, data):
        return super().to_internal_value(data.strip().lower() if isinstance(data, str) else data)


# --- wire formats --------------------------------------------------------------------------------------------------
def predictions(ranked: list[tuple[str, float]]):
    """[(category, percent)], best first, as DIGITS_WIRE_FORMAT wants them."""
    if settings.DIGITS_WIRE_FORMAT == "digits":
        return [[category, percent] for category, percent in ranked]
    return dict(ranked)


def errors(by_field: dict):
    """{field: [message, …]} as DIGITS_WIRE_FORMAT wants it."""
    by_field = {field: [_printable(message) for message in messages] for field, messages in by_field.items()}
    if settings.DIGITS_WIRE_FORMAT == "digits":
        return by_field
    return [{"field": field, "message": message} for field, messages in by_field.items() for message in messages]


def _printable(message) -> str:
    """A message that quotes what somebody sent, without the half characters that JSON can bring and UTF-8 can't."""
    return str(message).encode("utf-8", "replace").decode()


# --- errors --------------------------------------------------------------------------------------------------------
def exception_handler(exc: Exception, context: dict) -> Response:
    """Every exception of a view as the contract's answer."""
    if isinstance(exc, DjangoValidationError):
        exc = exceptions.ValidationError(exc.message_dict if hasattr(exc, "error_dict") else {"": exc.messages})
    if isinstance(exc, exceptions.ValidationError):
        return Response({"errors": errors(messages_by_field(exc.detail))}, status=400)
    if isinstance(exc, AWAY):
        return _away(context["request"], exc)
    status, description = _explain(exc)
    known = {"WWW-Authenticate": getattr(exc, "auth_header", None), "Retry-After": getattr(exc, "wait", None)}
    headers = {name: value if isinstance(value, str) else f"{value:.0f}" for name, value in known.items() if value}
    return Response(error_body(status, description), status=status, headers=headers)


def error_body(status: int, description: str) -> dict:
    """The contract's `error`, with a text for people."""
    phrase = HTTPStatus(status).phrase
    return {
        "error": {
            "message": f"{status}: {phrase}",
            "type": phrase.replace(" ", ""),
            "description": _printable(description),
        }
    }


def refusal(status: int, description: str) -> JsonResponse:
    """The same outside of any view."""
    content_type, layout = "application/json; charset=utf-8", {"indent": 2}
    body = error_body(status, description)
    return JsonResponse(body, status=status, content_type=content_type, json_dumps_params=layout)


def not_found(request, exception=None):
    """No such route: in JSON where JSON was asked for, else Django's page."""
    return _page_or_json(request, 404, f"There is no {request.path} here.") or defaults.page_not_found(
        request, exception
    )


def bad_request(request, exception=None):
    """What Django refuses before any view sees it, such as a foreign Host."""
    why = "This server does not answer to that host name, or the request is malformed."
    return _page_or_json(request, 400, why) or defaults.bad_request(request, exception)


def server_fault(request):
    """What failed outside of any view of ours; the log has it under the request's path."""
    failure = sys.exc_info()[1]
    if isinstance(failure, AWAY):
        return _away(request, failure)
    if failure and (explanation := no_room(failure, settings.DIGITS_HOME)):
        return _page_or_json(request, 507, explanation) or HttpResponse(explanation, "text/plain", 507)
    return _page_or_json(
        request, 500, "The server failed on this request; its log says more."
    ) or defaults.server_error(request)


def _away(request, failure: Exception) -> HttpResponse:
    """503: the database or Redis can't be reached just now. It needs neither itself, as DRF's page would."""
    log.warning("503 for %s: %s", request.path, failure)
    text = "The server can't reach its database just now. Nothing is lost; try again in a moment."
    answer = _page_or_json(request, 503, text) or HttpResponse(
        text, status=503, content_type="text/plain; charset=utf-8"
    )
    answer.headers["Retry-After"] = str(RETRY_SECONDS)
    return answer


def _page_or_json(request, status: int, description: str) -> JsonResponse | None:
    if request.path.endswith(".json") or _quality(request, "application/json") > _quality(request, "text/html"):
        return refusal(status, description)
    return None


def _explain(exc: Exception) -> tuple[int, str]:
    if isinstance(exc, exceptions.APIException):
        return exc.status_code, str(exc.detail)
    if isinstance(exc, RequestDataTooBig):
        return 413, FIELDS_TOO_LARGE.format(settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20)
    if isinstance(exc, (TooManyFieldsSent, TooManyFilesSent)):
        fields, files = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS, settings.DATA_UPLOAD_MAX_NUMBER_FILES
        return 400, f"The form has more than {fields} fields or {files} files."
    if isinstance(exc, (SuspiciousOperation, UnreadablePostError)):
        return 400, str(exc) or "The request is malformed."
    if isinstance(exc, Gone):
        return 404, "Job not found"
    if isinstance(exc, Http404):
        return 404, str(exc) or "Not found"
    if isinstance(exc, (HasDependents, Refused, PermissionDenied)):
        return 403, str(exc) or "Permission denied."
    if isinstance(exc, BadInput):
        return 400, str(exc)
    if isinstance(exc, IllegalTransition):
        return 409, str(exc)
    if explanation := no_room(exc, settings.DIGITS_HOME):
        log.error("507: %s", explanation)
        return 507, explanation
    fault = secrets.token_hex(4)
    log.exception("Unexpected, error id %s", fault, exc_info=exc)
    return 500, f"The server failed on this request. Its log has the details under error id {fault}."


def messages_by_field(detail) -> dict:
    """A ValidationError's detail as {field: [message, …]}; what belongs to no field stands under ''."""
    if not isinstance(detail, dict):
        return {"": detail if isinstance(detail, list) else [detail]}
    general = (api_settings.NON_FIELD_ERRORS_KEY, "__all__")
    return {("" if name in general else name): _messages(value) for name, value in detail.items()}


def _messages(value) -> list[str]:
    """The messages of one field; those of a nested list are flattened."""
    if isinstance(value, dict):
        return [message for nested in value.values() for message in _messages(nested)]
    if isinstance(value, (list, tuple)):
        return [message for nested in value for message in _messages(nested)]
    return [str(value)]


# --- routes --------------------------------------------------------------------------------------------------------
def with_suffix(route: str, view: type, name: str) -> list:
    """`route` and `route.json`, one view."""
    return [
        path(f"{route}.json", view.as_view(), {"format": "json"}, name=f"{name}-json"),
        path(route, view.as_view(), name=name),
    ]
